/* SPDX-License-Identifier: MIT */
/* Last words: the end of what a guest or QEMU said, for the message that tells why it died. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_WORDS_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_WORDS_H

#include <stddef.h>

#include "base/buffer.h"

enum { WORDS_MAX = 16 * 1024, WORDS_LINES = 6 };

/** words_add() - keep the last WORDS_MAX bytes */
void words_add(struct buffer *words, const void *data, size_t size);
/**
 * words_tell() - owned; the lines that matter, joined by "; " and safe for a terminal, or NULL if
 * nothing was said
 *
 * Of a kernel's panic that is the line that names it and what was said before; the registers and
 * the trace are not.
 */
char *words_tell(const struct buffer *words);

#endif
