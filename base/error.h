/* SPDX-License-Identifier: MIT */
/* One failure with its chain of contexts: the only error convention of the tree. */
#ifndef CTRZ_BASE_ERROR_H
#define CTRZ_BASE_ERROR_H

#include <stddef.h>

enum error_code {
	E_INVALID = 1,
	E_NOT_FOUND,
	E_EXISTS,
	E_DENIED,
	E_CONFLICT,
	E_INTEGRITY,
	E_UNAVAILABLE,
	E_TIMEOUT,
	E_CANCELED,
	E_SYSTEM,
	E_NO_MEMORY,
	E_INTERNAL,
};

/* A place in a spec file; line and column count from 1, line 0 = unknown. @file is lent. */
struct source_pos {
	const char *file;
	unsigned line, column;
};

struct error {
	enum error_code code;  /* what callers branch on; the rest is for people */
	int sys_errno;         /* 0 unless a system call failed */
	struct source_pos pos; /* innermost known place in the spec */
	char *message;         /* owned; "outermost: ...: innermost" */
};

#define ERROR_INIT ((struct error){ 0 })
#define AUTO_ERROR __attribute__((cleanup(error_clear))) struct error

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))

/**
 * error_set() - fill an error that is still empty
 * @err:	the caller's error; must not hold a failure already
 *
 * Return: -@code, so that a failure is one line: return error_set(err, E_INVALID, "...");
 */
int error_set(struct error *err, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** error_sys() - like error_set() with E_SYSTEM and ": <strerror(errno)>" appended; ENOENT, EEXIST,
 * EACCES/EPERM map to E_NOT_FOUND, E_EXISTS, E_DENIED. Return: -code */
int error_sys(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** error_at() - like error_set() with a place in a spec. Return: -@code */
int error_at(struct error *err, struct source_pos pos, enum error_code code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/** error_wrap() - prefix what we were doing: "<prefix>: <message>". Return: -err->code */
int error_wrap(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** error_ignore() - debug-log a failure we go on after, and clear it */
void error_ignore(struct error *err, const char *doing);

/** error_move() - hand a failure over; @dst must be empty, @src is empty afterwards. Return: -code
 */
int error_move(struct error *dst, struct error *src);

/** error_message() - the text, never NULL; lent until the next change of @err */
const char *error_message(const struct error *err);

/** error_is_set() - whether @err holds a failure */
int error_is_set(const struct error *err);

/** error_clear() - free what @err holds and make it empty */
void error_clear(struct error *err);

/** error_code_name() - "invalid", "not-found", ... for machine-readable output */
const char *error_code_name(enum error_code code);

#endif
