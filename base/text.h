/* SPDX-License-Identifier: MIT */
/* Text helpers: lists of strings, escaping of untrusted text, sizes and durations for people. */
#ifndef CTRZ_BASE_TEXT_H
#define CTRZ_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* An owned list of owned strings; items has a NULL behind the last one once not empty (argv-ready).
 */
struct strlist {
	char **items;
	size_t count;
	size_t room;
};

#define STRLIST_INIT ((struct strlist){ 0 })
#define AUTO_STRLIST CLEANUP(strlist_release) struct strlist

void strlist_add(struct strlist *l, const char *s);
/** strlist_take() - takes ownership of @s */
void strlist_take(struct strlist *l, char *s);
void strlist_printf(struct strlist *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strlist_copy(struct strlist *dst, const struct strlist *src);
bool strlist_has(const struct strlist *l, const char *s);
bool strlist_equal(const struct strlist *a, const struct strlist *b);
void strlist_sort(struct strlist *l);
/** strlist_join() - owned */
char *strlist_join(const struct strlist *l, const char *separator);
void strlist_release(struct strlist *l);

bool str_equal(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/** parse_u64() - decimal digits only, whole string, no sign or space. Return: false on anything
 * else or overflow */
bool parse_u64(const char *s, uint64_t max, uint64_t *ret_value);

/** text_escape() - append @size bytes made safe for a terminal: C0, C1, DEL, bidi controls and
 * invalid UTF-8 become visible escapes (\xNN, \u{NNNN}); @keep_newline leaves \n and \t as they are
 */
void text_escape(struct buffer *out, const char *s, size_t size, bool keep_newline);
/** text_escaped() - text_escape() of a string into an owned one */
char *text_escaped(const char *s);
/** utf8_decode() - one code point from @s (at most @size bytes). Return: bytes used, 0 if invalid
 * or truncated */
size_t utf8_decode(const char *s, size_t size, uint32_t *ret_code);
/** text_size() - "1.5 GiB", "512 MiB", "17 B"; owned */
char *text_size(uint64_t bytes);
/** text_duration() - "812 ms", "4.2 s", "3m 10s"; owned */
char *text_duration(uint64_t ms);
/** text_distance() - Damerau-Levenshtein distance (optimal string alignment) of two strings, each
 * at most 127 bytes looked at; for did-you-mean */
unsigned text_distance(const char *a, const char *b);
/** text_suggest() - the candidate nearest to @s within max(1, len/3), or NULL; lent from
 * @candidates */
const char *text_suggest(const char *s, const char *const *candidates, size_t count);
/** hex_encode() - lower case; @out has room for 2 * size + 1 */
void hex_encode(char *out, const void *data, size_t size);

#endif
