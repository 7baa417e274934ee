/* SPDX-License-Identifier: MIT */
/* Files with several names, as the one who tells them remembers them. */
#ifndef CTRZ_VMINITD_PROTOCOL_COPY_SEEN_H
#define CTRZ_VMINITD_PROTOCOL_COPY_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A hash table; empty when zeroed. */
struct copy_seen {
	struct seen_file *slots;
	size_t room; /* a power of two */
	uint32_t count;
};

void copy_seen_release(struct copy_seen *s);
/** copy_seen_number() - Return: the number of a file, from 1 in the order they are met; 0 if there
 * are too many: that one is told as a file of its own */
uint32_t copy_seen_number(struct copy_seen *s, dev_t device, ino_t inode, bool *ret_is_new);

#endif
