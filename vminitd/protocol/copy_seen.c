/* SPDX-License-Identifier: MIT */
/* Device and inode to number. */
#include "vminitd/protocol/copy_seen.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "vminitd/protocol/copy.h"

enum { ROOM_FIRST = 64 };

struct seen_file {
	dev_t device;
	ino_t inode;
	uint32_t number; /* 0 = free */
};

void copy_seen_release(struct copy_seen *s)
{
	free(s->slots);
	*s = (struct copy_seen){ 0 };
}

static struct seen_file *slot_of(const struct copy_seen *s, dev_t device, ino_t inode)
{
	size_t at = (size_t)((uint64_t)inode * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->room - 1);

	while (s->slots[at].number &&
	       (s->slots[at].inode != inode || s->slots[at].device != device))
		at = (at + 1) & (s->room - 1);
	return &s->slots[at];
}

static void grow(struct copy_seen *s)
{
	struct copy_seen more = { .room = s->room ? s->room * 2 : ROOM_FIRST, .count = s->count };

	more.slots = xcalloc(more.room, sizeof(*more.slots));
	for (size_t i = 0; i < s->room; i++)
		if (s->slots[i].number)
			*slot_of(&more, s->slots[i].device, s->slots[i].inode) = s->slots[i];
	free(s->slots);
	*s = more;
}

uint32_t copy_seen_number(struct copy_seen *s, dev_t device, ino_t inode, bool *ret_is_new)
{
	if ((s->count + 1) * UINT64_C(2) > s->room && s->count < COPY_SAME_MAX)
		grow(s);
	struct seen_file *f = slot_of(s, device, inode);

	*ret_is_new = f->number == 0;
	if (*ret_is_new && s->count == COPY_SAME_MAX)
		return 0;
	if (*ret_is_new)
		*f = (struct seen_file){ device, inode, ++s->count };
	return f->number;
}
