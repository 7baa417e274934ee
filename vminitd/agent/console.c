/* SPDX-License-Identifier: MIT */
/* The kernel's log, panics and power off. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "base/log.h"
#include "vminitd/agent/console.h"

/* Descriptor 2 from the start, whatever the kernel gave: nothing else writes there. */
enum { CONSOLE_FD = 2, LINE_MAX_BYTES = 900 };

void console_open(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fd != CONSOLE_FD) {
		(void)dup3(fd, CONSOLE_FD, O_CLOEXEC);
		(void)close(fd);
	}
	log_set_fd(CONSOLE_FD);
	log_set_prefix("vminitd");
	/* Without a standard input and output, pipes of processes would get their numbers. */
	for (int i = 0; i < CONSOLE_FD; i++)
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			return;
}

static void say(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

static void say(const char *fmt, va_list args)
{
	/* Level 0: a kernel booted to be quiet shows nothing else. */
	char line[LINE_MAX_BYTES] = "<0>vminitd: ";
	size_t used = strlen(line);

	/* No allocation: this speaks when there is no memory. */
	(void)vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);
	used = strlen(line);
	line[used++] = '\n';
	ssize_t n = write(CONSOLE_FD, line, used);
	(void)n;
}

void console_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}

void console_power_off(void)
{
	(void)reboot(RB_POWER_OFF);
	/* No way to switch off: QEMU runs with -no-reboot. */
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		(void)pause();
}

void console_panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	sync();
	console_power_off();
}

static void on_crash(int sig)
{
	console_panic("crashed with signal %d: switching the machine off", sig);
}

void console_catch_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	struct sigaction crash = { .sa_handler = on_crash };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &crash, NULL);
}

/* base/alloc.c ends here when memory runs out. */
__attribute__((noreturn)) void out_of_memory(void);

void out_of_memory(void)
{
	console_panic("out of memory: switching the machine off");
}
