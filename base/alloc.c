/* SPDX-License-Identifier: MIT */
/* Allocation that ends the program when memory runs out. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* vminitd links its own. */
__attribute__((weak, noreturn)) void out_of_memory(void);

__attribute__((weak, noreturn)) void out_of_memory(void)
{
	static const char text[] = "ctrz: out of memory\n";
	ssize_t n = write(2, text, sizeof(text) - 1);
	(void)n;
	_exit(1);
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	if (!q)
		out_of_memory();
	return q;
}

void *xreallocarray(void *p, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		out_of_memory();
	return xrealloc(p, count * size);
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *xstrdup_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	size_t size = strnlen(s, n);
	char *p = xmalloc(size + 1);
	memcpy(p, s, size);
	p[size] = '\0';
	return p;
}

void *xmemdup(const void *p, size_t size)
{
	void *q = xmalloc(size);
	if (size)
		memcpy(q, p, size);
	return q;
}

char *xvasprintf(const char *fmt, va_list args)
{
	char *p = NULL;
	if (vasprintf(&p, fmt, args) < 0 || !p)
		out_of_memory();
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *p = xvasprintf(fmt, args);
	va_end(args);
	return p;
}
