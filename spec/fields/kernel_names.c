/* SPDX-License-Identifier: MIT */
/* Names of the kernel: signals, capabilities, limits, sysctls. */
#include "spec/fields/kernel_names.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/text.h"

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "SIGTERM", SIGTERM }, { "SIGINT", SIGINT },       { "SIGQUIT", SIGQUIT },
	{ "SIGHUP", SIGHUP },   { "SIGKILL", SIGKILL },     { "SIGUSR1", SIGUSR1 },
	{ "SIGUSR2", SIGUSR2 }, { "SIGSTOP", SIGSTOP },     { "SIGCONT", SIGCONT },
	{ "SIGABRT", SIGABRT }, { "SIGALRM", SIGALRM },     { "SIGWINCH", SIGWINCH },
	{ "SIGPIPE", SIGPIPE }, { "SIGCHLD", SIGCHLD },     { "SIGTSTP", SIGTSTP },
	{ "SIGTTIN", SIGTTIN }, { "SIGTTOU", SIGTTOU },     { "SIGPWR", SIGPWR },
	{ "SIGTRAP", SIGTRAP }, { "SIGURG", SIGURG },       { "SIGIO", SIGIO },
	{ "SIGSEGV", SIGSEGV }, { "SIGBUS", SIGBUS },       { "SIGFPE", SIGFPE },
	{ "SIGILL", SIGILL },   { "SIGSYS", SIGSYS },       { "SIGXCPU", SIGXCPU },
	{ "SIGXFSZ", SIGXFSZ }, { "SIGVTALRM", SIGVTALRM }, { "SIGPROF", SIGPROF },
};

/* "ALL", then all in the order of their numbers, capability.h. */
static const char *const capabilities[] = {
	"ALL",
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

static const struct {
	const char *name;
	int number;
} ulimits[] = {
	{ "as", RLIMIT_AS },
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

int signal_number(const char *name)
{
	uint64_t number;
	if (parse_u64(name, 64, &number))
		return (int)number;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (strcasecmp(name, signals[i].name) == 0 ||
		    strcasecmp(name, signals[i].name + 3) == 0)
			return signals[i].number;
	if (strcasecmp(name, "SIGRTMIN") == 0 || strcasecmp(name, "RTMIN") == 0)
		return 34;
	/* SIGRTMIN+N is a favourite of init systems. */
	const char *plus = strchr(name, '+');
	if (plus && strncasecmp(name, "SIGRTMIN+", 9) == 0 && parse_u64(plus + 1, 30, &number))
		return 34 + (int)number;
	return 0;
}

const char *signal_suggest(const char *name)
{
	char upper[32] = "";
	bool has_prefix = strncasecmp(name, "SIG", 3) == 0;
	snprintf(upper, sizeof(upper), "%s%s", has_prefix ? "" : "SIG", name);
	for (char *p = upper; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	const char *names[ARRAY_SIZE(signals)];
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		names[i] = signals[i].name;
	return text_suggest(upper, names, ARRAY_SIZE(signals));
}

uint64_t capability_mask(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (strcasecmp(name, capabilities[i]) == 0 ||
		    (i && strcasecmp(name, capabilities[i] + 4) == 0))
			return i ? UINT64_C(1) << (i - 1)
				 : (UINT64_C(1) << (ARRAY_SIZE(capabilities) - 1)) - 1;
	return 0;
}

const char *capability_suggest(const char *name)
{
	char full[48];
	bool has_prefix = strncasecmp(name, "CAP_", 4) == 0;
	snprintf(full, sizeof(full), "%s%s", has_prefix ? "" : "CAP_", name);
	return text_suggest(full, capabilities, ARRAY_SIZE(capabilities));
}

int ulimit_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ulimits); i++)
		if (strcmp(name, ulimits[i].name) == 0)
			return ulimits[i].number;
	return -1;
}

const char *ulimit_suggest(const char *name)
{
	const char *names[ARRAY_SIZE(ulimits)];
	for (size_t i = 0; i < ARRAY_SIZE(ulimits); i++)
		names[i] = ulimits[i].name;
	return text_suggest(name, names, ARRAY_SIZE(ulimits));
}

bool sysctl_is_known(const char *name)
{
	static const char *const roots[] = { "fs.", "kernel.", "net.", "user.", "vm." };
	if (name[strspn(name,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ||
	    strstr(name, "..") || str_ends(name, "."))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (str_starts(name, roots[i]))
			return true;
	return false;
}
