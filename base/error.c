/* SPDX-License-Identifier: MIT */
/* One failure with its chain of contexts. */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"

static const char *const code_names[] = {
	[0] = "ok",
	[E_INVALID] = "invalid",
	[E_NOT_FOUND] = "not-found",
	[E_EXISTS] = "exists",
	[E_DENIED] = "denied",
	[E_CONFLICT] = "conflict",
	[E_INTEGRITY] = "integrity",
	[E_UNAVAILABLE] = "unavailable",
	[E_TIMEOUT] = "timeout",
	[E_CANCELED] = "canceled",
	[E_SYSTEM] = "system",
	[E_NO_MEMORY] = "no-memory",
	[E_INTERNAL] = "internal",
};
_Static_assert(ARRAY_SIZE(code_names) == E_INTERNAL + 1, "a name per code");

static int fill(struct error *err, enum error_code code, char *message)
{
	assert(!err->code && "an error must not be set twice");
	err->code = code;
	err->message = message;
	return -(int)code;
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *message = xvasprintf(fmt, args);
	va_end(args);
	return fill(err, code, message);
}

static enum error_code code_of_errno(int number)
{
	switch (number) {
	case ENOENT:
		return E_NOT_FOUND;
	case EEXIST:
		return E_EXISTS;
	case EACCES:
	case EPERM:
		return E_DENIED;
	case ENOMEM:
		return E_NO_MEMORY;
	case ETIMEDOUT:
		return E_TIMEOUT;
	default:
		return E_SYSTEM;
	}
}

int error_sys(struct error *err, const char *fmt, ...)
{
	int number = errno;
	va_list args;
	va_start(args, fmt);
	AUTO_FREE char *what = xvasprintf(fmt, args);
	va_end(args);
	char text[128];
	err->sys_errno = number;
	return fill(err, code_of_errno(number),
		    xasprintf("%s: %s", what, strerror_r(number, text, sizeof(text))));
}

int error_at(struct error *err, struct source_pos pos, enum error_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *message = xvasprintf(fmt, args);
	va_end(args);
	err->pos = pos;
	return fill(err, code, message);
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	assert(err->code && "only a failure can be wrapped");
	va_list args;
	va_start(args, fmt);
	AUTO_FREE char *prefix = xvasprintf(fmt, args);
	va_end(args);
	AUTO_FREE char *inner = err->message;
	err->message = xasprintf("%s: %s", prefix, inner ? inner : "");
	return -(int)err->code;
}

void error_ignore(struct error *err, const char *doing)
{
	if (err->code)
		log_debug("%s: %s, ignoring", doing, error_message(err));
	error_clear(err);
}

int error_move(struct error *dst, struct error *src)
{
	assert(!dst->code && "an error must not be set twice");
	*dst = *src;
	*src = ERROR_INIT;
	return -(int)dst->code;
}

const char *error_message(const struct error *err)
{
	return err->message ? err->message : "no error";
}

int error_is_set(const struct error *err)
{
	return err->code != 0;
}

void error_clear(struct error *err)
{
	free(err->message);
	*err = ERROR_INIT;
}

const char *error_code_name(enum error_code code)
{
	return (unsigned)code < ARRAY_SIZE(code_names) ? code_names[code] : "unknown";
}
