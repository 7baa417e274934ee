/* SPDX-License-Identifier: MIT */
/* One-line files of proc, sysfs and cgroups. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "vminitd/agent/sysfile.h"

bool sysfile_read(char *ret, size_t room, const char *fmt, ...)
{
	char path[256];
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, ret, room - 1);
	if (got < 0)
		return false;
	ret[got] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

uint64_t sysfile_number(const char *path)
{
	char value[32];

	return sysfile_read(value, sizeof(value), "%s", path) ? strtoull(value, NULL, 10) : 0;
}

static uint64_t find_field(const char *path, const char *key, int base)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	size_t size = strlen(key);

	if (file_read(path, 65536, &text, &err) < 0)
		return 0;
	for (const char *p = buffer_str(&text); *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, key, size) == 0 && (p[size] == ' ' || p[size] == ':'))
			return strtoull(p + size + strspn(p + size, ": \t"), NULL, base);
	return 0;
}

uint64_t sysfile_field(const char *path, const char *key)
{
	return find_field(path, key, 10);
}

uint64_t sysfile_hex_field(const char *path, const char *key)
{
	return find_field(path, key, 16);
}

int sysfile_write(const char *path, const char *text, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t size = strlen(text);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return error_sys(err, "write '%s' to %s", text, path);
	return 0;
}
