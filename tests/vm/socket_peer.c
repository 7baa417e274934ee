/* SPDX-License-Identifier: MIT */
/* One end of a unix socket, for containers whose image has no program for it: "connect PATH" passes
 * standard input to it and what comes to standard output; "serve PATH" sends back what it is sent,
 * for each connection, and "bye" at its end. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int put(int fd, const char *at, ssize_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, at, (size_t)size);

		if (n < 0)
			return -1;
		at += n;
		size -= n;
	}
	return 0;
}

/* Both ways at once, for neither side waits for the other. Return: an exit code */
static int pass(int fd)
{
	struct pollfd p[] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	static char data[65536], waiting[65536];
	ssize_t n, size = 0, at = 0;

	for (;;) {
		p[0].fd = size > 0 ? -1 : p[0].fd;
		p[1].events = (short)(POLLIN | (size > 0 ? POLLOUT : 0));
		if (poll(p, 2, -1) < 0)
			return 1;
		if (p[0].fd >= 0 && p[0].revents) {
			size = read(0, waiting, sizeof(waiting));
			at = 0;
			if (size <= 0) {
				(void)shutdown(fd, SHUT_WR);
				p[0].fd = -1;
				size = -1;
			}
		}
		if (size > 0 && (p[1].revents & POLLOUT)) {
			n = send(fd, waiting + at, (size_t)(size - at), MSG_DONTWAIT);
			at += n > 0 ? n : 0;
			if (at == size) {
				size = 0;
				p[0].fd = 0;
			}
		}
		if (!(p[1].revents & (POLLIN | POLLHUP)))
			continue;
		n = read(fd, data, sizeof(data));
		if (n <= 0)
			return n < 0;
		if (put(1, data, n) < 0)
			return 1;
	}
}

static void serve(int listener)
{
	static char data[65536];

	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t n;

		if (fd >= 0 && fork() == 0) {
			while ((n = read(fd, data, sizeof(data))) > 0 && put(fd, data, n) == 0)
				;
			_exit(put(fd, "bye", 3) < 0);
		}
		if (fd >= 0)
			(void)close(fd);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 3 || fd < 0)
		return 2;
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[2]);
	if (strcmp(argv[1], "connect") == 0) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
			perror(argv[2]);
			return 3;
		}
		return pass(fd);
	}
	(void)unlink(argv[2]);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		return 4;
	(void)puts("listening");
	(void)fflush(stdout);
	serve(fd);
}
