/* SPDX-License-Identifier: MIT */
/* Allocation that does not fail: out of memory ends in out_of_memory(). Bound sizes from outside
 * before calling. */
#ifndef CTRZ_BASE_ALLOC_H
#define CTRZ_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "base/error.h"

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
/** xreallocarray() - checked count * size */
void *xreallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/** xstrdup_null() - NULL for NULL */
char *xstrdup_null(const char *s);
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t size) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));
char *xvasprintf(const char *fmt, va_list args)
	__attribute__((format(printf, 1, 0), malloc, returns_nonnull));

/** GROW_ARRAY() - make room for one more element, doubling; @cap is the current capacity */
#define GROW_ARRAY(ptr, count, cap)                                          \
	do {                                                                 \
		if ((count) == (cap)) {                                      \
			(cap) = (cap) ? (cap)*2 : 8;                         \
			(ptr) = xreallocarray((ptr), (cap), sizeof(*(ptr))); \
		}                                                            \
	} while (0)

#endif
