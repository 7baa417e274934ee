/* SPDX-License-Identifier: MIT */
/* Who has a port of this host. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "runtime/network/host_port.h"
#include "runtime/network/switch_client.h"

enum {
	SOCKETS_MAX_BYTES = 16 << 20,
	COMM_MAX = 64,
	CMDLINE_MAX = 4096,
	TCP_LISTEN_STATE = 10,
	UDP_BOUND_STATE = 7,
};

bool host_port_is_free(struct in_addr addr, uint16_t port, bool udp)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = addr };
	int on = 1;
	AUTO_CLOSE int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	/* What is in TIME_WAIT does not matter, as it does not to who will listen there. */
	if (!udp)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* The address of a line as 16 or 64 bits of hexadecimal words: whether a bind to @addr collides
 * with it. */
static bool address_collides(const char *hex, struct in_addr addr)
{
	unsigned w[4] = { 0 };
	size_t length = strlen(hex);
	if (length == 8) {
		if (sscanf(hex, "%8x", &w[0]) != 1)
			return false;
	} else if (length != 32 || sscanf(hex, "%8x%8x%8x%8x", &w[0], &w[1], &w[2], &w[3]) != 4) {
		return false;
	} else {
		/* An IPv6 socket counts if it is bound to all addresses or to a mapped IPv4 one. */
		if (w[0] || w[1] || (w[2] && w[2] != htonl(0xffff)))
			return false;
		w[0] = w[3];
	}
	return w[0] == 0 || addr.s_addr == INADDR_ANY || w[0] == addr.s_addr;
}

uint64_t host_port_inode(const char *text, size_t size, struct in_addr addr, uint16_t port,
			 bool udp)
{
	const char *end = text + size;
	for (const char *at = text; at < end;) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((eol ? eol : end) - at);
		char line[320], hex[33];
		unsigned local_port, state;
		unsigned long long inode;
		if (length < sizeof(line)) {
			memcpy(line, at, length);
			line[length] = '\0';
			/* sl local remote st tx:rx tr:when retrnsmt uid timeout inode */
			if (sscanf(line,
				   " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x "
				   "%*u %*u %llu",
				   hex, &local_port, &state, &inode) == 4 &&
			    local_port == port && inode &&
			    state == (udp ? UDP_BOUND_STATE : TCP_LISTEN_STATE) &&
			    address_collides(hex, addr))
				return inode;
		}
		at += length + 1;
	}
	return 0;
}

static uint64_t find_inode(const char *file, struct in_addr addr, uint16_t port, bool udp)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	if (file_read(file, SOCKETS_MAX_BYTES, &text, &err) < 0) {
		error_ignore(&err, "look for the holder of a port");
		return 0;
	}
	return host_port_inode(buffer_str(&text), text.size, addr, port, udp);
}

static bool has_socket(const char *pid, uint64_t inode)
{
	AUTO_FREE char *path = xasprintf("/proc/%s/fd", pid);
	AUTO_FREE char *wanted = xasprintf("socket:[%llu]", (unsigned long long)inode);
	AUTO_DIR DIR *dir = opendir(path);
	if (!dir)
		return false;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char target[64];
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (str_equal(target, wanted))
			return true;
	}
	return false;
}

/* "nginx (pid 812)"; a switch of ours is told by its network. */
static char *describe(const char *pid)
{
	AUTO_FREE char *comm_path = xasprintf("/proc/%s/comm", pid);
	AUTO_FREE char *cmdline_path = xasprintf("/proc/%s/cmdline", pid);
	AUTO_BUFFER comm = BUFFER_INIT;
	AUTO_BUFFER cmdline = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	if (file_read(comm_path, COMM_MAX, &comm, &err) < 0)
		error_clear(&err);
	if (file_read(cmdline_path, CMDLINE_MAX, &cmdline, &err) < 0)
		error_clear(&err);
	AUTO_BUFFER name = BUFFER_INIT;
	size_t length = strcspn(buffer_str(&comm), "\n");
	text_escape(&name, buffer_str(&comm), length, false);
	if (str_equal(buffer_str(&name), SWITCH_COMM)) {
		const char *at = cmdline.data, *end = cmdline.data + cmdline.size;
		for (int i = 0; i < 2 && at < end; i++)
			at += strlen(at) + 1;
		AUTO_FREE char *network = text_escaped(at && at < end ? at : "?");
		return xasprintf("ctrz network '%s' (pid %s)", network, pid);
	}
	return xasprintf("%s (pid %s)", name.size ? buffer_str(&name) : "a process", pid);
}

char *host_port_holder(struct in_addr addr, uint16_t port, bool udp)
{
	uint64_t inode = find_inode(udp ? "/proc/net/udp" : "/proc/net/tcp", addr, port, udp);
	if (!inode)
		inode = find_inode(udp ? "/proc/net/udp6" : "/proc/net/tcp6", addr, port, udp);
	if (!inode)
		return NULL;
	AUTO_DIR DIR *dir = opendir("/proc");
	if (!dir)
		return NULL;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		if (isdigit((unsigned char)e->d_name[0]) && has_socket(e->d_name, inode))
			return describe(e->d_name);
	return NULL;
}
