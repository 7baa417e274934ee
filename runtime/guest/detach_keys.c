/* SPDX-License-Identifier: MIT */
/* Parsing and finding the detach sequence. */
#include "runtime/guest/detach_keys.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

/* One key of @size bytes. Return: its byte, or -1 */
static int parse_key(const char *s, size_t size)
{
	if (size == 1 && isprint((unsigned char)*s))
		return (unsigned char)*s;
	if (size != 6 || strncmp(s, "ctrl-", 5) != 0)
		return -1;
	if (isalpha((unsigned char)s[5]))
		return toupper((unsigned char)s[5]) & 0x1f;
	return strchr("@[\\]^_", s[5]) ? s[5] & 0x1f : -1;
}

int detach_keys_parse(const char *text, struct detach_keys *ret, struct error *err)
{
	struct detach_keys k = { .count = 0 };
	const char *at = text;

	while (*text && !str_equal(text, "none")) {
		size_t size = strcspn(at, ",");
		int key = parse_key(at, size);

		if (key < 0 || k.count == DETACH_KEYS_MAX)
			return error_set(
				err, E_INVALID,
				"'%s' are no detach keys: up to %d parted by commas, each a "
				"character or ctrl- and a letter, as %s; or: none",
				text, DETACH_KEYS_MAX, DETACH_KEYS_DEFAULT);
		k.keys[k.count++] = (char)key;
		at += size;
		if (!*at++)
			break;
	}
	*ret = k;
	return 0;
}

bool detach_keys_scan(struct detach_keys *k, const char *typed, size_t size, struct buffer *out)
{
	for (size_t i = 0; i < size && k->seen < k->count; i++) {
		/* What was held back may still hold a shorter beginning of the sequence. */
		while (k->seen > 0 && typed[i] != k->keys[k->seen]) {
			size_t shorter = k->seen - 1;
			while (shorter > 0 &&
			       memcmp(k->keys, k->keys + k->seen - shorter, shorter) != 0)
				shorter--;
			buffer_add(out, k->keys, k->seen - shorter);
			k->seen = shorter;
		}
		if (typed[i] == k->keys[k->seen])
			k->seen++;
		else
			buffer_add_char(out, typed[i]);
	}
	if (k->count == 0)
		buffer_add(out, typed, size);
	return k->count > 0 && k->seen == k->count;
}
