/* SPDX-License-Identifier: MIT */
/* A hash map from strings to pointers: open addressing over an array in insertion order. */
#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* FNV-1a, 64 bit, with a final mix so that the low bits depend on all of it. */
static size_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325U;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3U;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15U;
	return (size_t)(h ^ h >> 29);
}

/* The slot that holds @key, or the free one where it would go. */
static size_t slot_of(const struct map *m, const char *key)
{
	size_t mask = m->slot_count - 1, i = hash_of(key) & mask;
	while (m->slots[i] && strcmp(m->entries[m->slots[i] - 1].key, key) != 0)
		i = (i + 1) & mask;
	return i;
}

static void grow(struct map *m)
{
	free(m->slots);
	m->slot_count = m->slot_count ? m->slot_count * 2 : 16;
	m->slots = xcalloc(m->slot_count, sizeof(*m->slots));
	for (size_t i = 0; i < m->count; i++)
		m->slots[slot_of(m, m->entries[i].key)] = i + 1;
}

void *map_get(const struct map *m, const char *key)
{
	if (!m->count)
		return NULL;
	size_t i = m->slots[slot_of(m, key)];
	return i ? m->entries[i - 1].value : NULL;
}

bool map_has(const struct map *m, const char *key)
{
	return m->count && m->slots[slot_of(m, key)];
}

void *map_set(struct map *m, const char *key, void *value)
{
	if (m->count * 2 >= m->slot_count)
		grow(m);
	size_t slot = slot_of(m, key);
	if (m->slots[slot]) {
		struct map_entry *e = &m->entries[m->slots[slot] - 1];
		void *old = e->value;
		e->value = value;
		return old;
	}
	GROW_ARRAY(m->entries, m->count, m->room);
	m->entries[m->count++] = (struct map_entry){ xstrdup(key), value };
	m->slots[slot] = m->count;
	return NULL;
}

void map_release(struct map *m, void (*free_value)(void *))
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->entries[i].key);
		if (free_value)
			free_value(m->entries[i].value);
	}
	free(m->entries);
	free(m->slots);
	*m = MAP_INIT;
}
