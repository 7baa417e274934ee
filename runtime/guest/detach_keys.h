/* SPDX-License-Identifier: MIT */
/* The keys that leave a terminal session and let its process go on, found in what is typed. */
#ifndef CTRZ_RUNTIME_GUEST_DETACH_KEYS_H
#define CTRZ_RUNTIME_GUEST_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum { DETACH_KEYS_MAX = 8 };

#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_keys {
	char keys[DETACH_KEYS_MAX]; /* as the terminal sends them */
	size_t count;               /* 0 = there are none */
	size_t seen;                /* of them were typed last, and are held back */
};

/**
 * detach_keys_parse() - "ctrl-p,ctrl-q", "ctrl-],q"; "" and "none" = none
 *
 * A key is one printable character, or ctrl- with a letter or one of @ [ \ ] ^ _. Return: 0 or
 * -E_INVALID
 */
int detach_keys_parse(const char *text, struct detach_keys *ret, struct error *err) MUST_CHECK;

/**
 * detach_keys_scan() - append to @out what is to be passed on of @size typed bytes
 *
 * A beginning of the sequence is held back, and comes out once another key follows. Return: whether
 * the sequence is complete; what was typed behind it is dropped
 */
bool detach_keys_scan(struct detach_keys *k, const char *typed, size_t size, struct buffer *out);

#endif
