/* SPDX-License-Identifier: MIT */
/* A hash map from strings to pointers, in insertion order when walked. */
#ifndef CTRZ_BASE_MAP_H
#define CTRZ_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_entry {
	char *key;   /* owned */
	void *value; /* the caller's */
};

struct map {
	struct map_entry *entries; /* in insertion order */
	size_t count, room;
	size_t *slots; /* index + 1 into entries, 0 = free; power of two */
	size_t slot_count;
};

#define MAP_INIT ((struct map){ 0 })

/** map_get() - the value or NULL */
void *map_get(const struct map *m, const char *key);
/** map_has() - also true for keys with a NULL value */
bool map_has(const struct map *m, const char *key);
/** map_set() - copy the key; returns the value it replaced or NULL */
void *map_set(struct map *m, const char *key, void *value);
/** map_release() - frees keys; calls @free_value (may be NULL) on each value */
void map_release(struct map *m, void (*free_value)(void *));

#endif
