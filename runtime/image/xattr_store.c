/* SPDX-License-Identifier: MIT */
/* Encodes extended attributes and shares the blocks of equal sets. */
#include "runtime/image/xattr_store.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/digest/digest.h"
#include "base/text.h"
#include "runtime/image/ext2fs_library.h"
#include "runtime/image/ext4_format.h"

enum {
	ENTRY = 16,
	BLOCK_HEADER = 32,
	TERMINATOR = 4,
	VALUE_MAX = EXT4_BLOCK,
	ACL_XATTR_VERSION = 2,
	ACL_EXT4_VERSION = 1,
	ACL_USER = 2,
	ACL_GROUP = 8,
};

/* An attribute in ext4's terms. */
struct item {
	uint8_t index;
	const char *name; /* behind the prefix */
	size_t name_size;
	const uint8_t *value;
	size_t size;
	uint8_t *converted; /* owned; ACLs only */
	bool in_block;
};

struct items {
	struct item *list; /* owned */
	size_t count;
};

static void items_release(struct items *i)
{
	for (size_t k = 0; k < i->count; k++)
		free(i->list[k].converted);
	free(i->list);
}

void xattr_store_init(struct xattr_store *s, struct block_writer *writer)
{
	*s = (struct xattr_store){ .writer = writer, .known = MAP_INIT };
	s->sets.item_size = sizeof(struct xattr_set);
}

void xattr_store_release(struct xattr_store *s)
{
	slab_release(&s->sets);
	map_release(&s->known, NULL);
}

/* The prefix becomes a number. Return: false for what Linux has no place for */
static bool classify(const char *name, struct item *ret)
{
	static const struct {
		const char *prefix;
		uint8_t index;
		bool whole;
	} kinds[] = {
		{ "user.", 1, false },
		{ "system.posix_acl_access", 2, true },
		{ "system.posix_acl_default", 3, true },
		{ "trusted.", 4, false },
		{ "security.", 6, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t size = strlen(kinds[i].prefix);

		if (!str_starts(name, kinds[i].prefix) || (name[size] == '\0') != kinds[i].whole)
			continue;
		ret->index = kinds[i].index;
		ret->name = name + size;
		ret->name_size = strlen(name + size);
		return true;
	}
	return false;
}

/* ext4 leaves the id out where a tag has none. */
static int convert_acl(struct item *i, const char *name, struct error *err)
{
	size_t out = 4;

	if (i->size < 4 || i->size % 8 != 4 || get_le32(i->value) != ACL_XATTR_VERSION)
		return error_set(err, E_INTEGRITY, "%s is malformed", name);
	i->converted = xmalloc(i->size);
	put_le32(i->converted, ACL_EXT4_VERSION);
	for (size_t at = 4; at < i->size; at += 8) {
		uint16_t tag = get_le16(i->value + at);
		size_t part = tag == ACL_USER || tag == ACL_GROUP ? 8 : 4;

		memcpy(i->converted + out, i->value + at, part);
		out += part;
	}
	i->value = i->converted;
	i->size = out;
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	if (x->name_size != y->name_size)
		return x->name_size < y->name_size ? -1 : 1;
	return memcmp(x->name, y->name, x->name_size);
}

static int collect(const struct tar_xattr *xattrs, size_t count, struct items *ret,
		   struct error *err)
{
	ret->list = xcalloc(count, sizeof(*ret->list));
	for (size_t k = 0; k < count; k++) {
		struct item i = { .value = xattrs[k].value, .size = xattrs[k].size };
		AUTO_FREE char *name = NULL;
		int rc = 0;

		if (!classify(xattrs[k].name, &i))
			continue;
		name = text_escaped(xattrs[k].name);
		if (i.name_size > EXT4_NAME_MAX_BYTES)
			return error_set(err, E_INTEGRITY,
					 "name of extended attribute '%.40s...' is too long", name);
		if (i.size > VALUE_MAX)
			return error_set(err, E_INTEGRITY,
					 "extended attribute '%.300s' of %zu bytes does not fit "
					 "into a block of %d",
					 name, i.size, EXT4_BLOCK);
		if (i.index == 2 || i.index == 3)
			rc = convert_acl(&i, name, err);
		if (rc < 0)
			return rc;
		ret->list[ret->count++] = i;
	}
	if (ret->count > 1)
		qsort(ret->list, ret->count, sizeof(*ret->list), compare_items);
	return 0;
}

static size_t room_of(const struct item *i)
{
	return EXT2_EXT_ATTR_LEN(i->name_size) + EXT2_EXT_ATTR_SIZE(i->size);
}

/* As many as fit into the inode; the rest into the block. */
static int divide(struct items *items, bool *ret_block, struct error *err)
{
	size_t in_inode = XATTR_INLINE_MAX - TERMINATOR;
	size_t in_block = EXT4_BLOCK - BLOCK_HEADER - TERMINATOR;

	*ret_block = false;
	for (size_t k = 0; k < items->count; k++) {
		struct item *i = &items->list[k];
		size_t need = room_of(i);

		i->in_block = need > in_inode;
		if (!i->in_block) {
			in_inode -= need;
			continue;
		}
		if (need > in_block)
			return error_set(err, E_INTEGRITY,
					 "extended attributes do not fit into an inode and a block "
					 "of %d bytes",
					 EXT4_BLOCK);
		in_block -= need;
		*ret_block = true;
	}
	return 0;
}

/* The hash covers name and value; the library wants the name right behind the entry. */
static uint32_t hash_of(const uint8_t *entry, uint8_t *value)
{
	union {
		struct ext2_ext_attr_entry entry;
		uint8_t bytes[ENTRY + EXT4_NAME_MAX_BYTES];
	} copy;

	memcpy(copy.bytes, entry, ENTRY + entry[0]);
	return ext2fs_ext_attr_hash_entry(&copy.entry, value);
}

/* Entries from @area up, values from its end down; offsets count from @base. Return: hash over all
 * entries */
static uint32_t encode(const struct items *items, bool in_block, uint8_t *area, size_t size,
		       size_t base)
{
	size_t at = 0, end = size;
	uint32_t all = 0;

	for (size_t k = 0; k < items->count; k++) {
		const struct item *i = &items->list[k];
		uint8_t *p = area + at;
		uint32_t hash;

		if (i->in_block != in_block)
			continue;
		end -= EXT2_EXT_ATTR_SIZE(i->size);
		if (i->size > 0)
			memcpy(area + end, i->value, i->size);
		p[0] = (uint8_t)i->name_size;
		p[1] = i->index;
		put_le16(p + 2, (uint16_t)(i->size > 0 ? base + end : 0));
		put_le32(p + 8, (uint32_t)i->size);
		memcpy(p + ENTRY, i->name, i->name_size);
		hash = hash_of(p, area + end);
		put_le32(p + 12, hash);
		all = (all << 16) ^ (all >> 16) ^ hash;
		at += EXT2_EXT_ATTR_LEN(i->name_size);
	}
	return all;
}

static size_t inline_used(const struct items *items)
{
	for (size_t k = 0; k < items->count; k++)
		if (!items->list[k].in_block)
			return XATTR_INLINE_MAX;
	return 0;
}

static int write_block(struct xattr_store *s, const struct items *items, uint32_t *ret,
		       struct error *err)
{
	uint8_t block[EXT4_BLOCK] = { 0 };
	uint32_t hash =
		encode(items, true, block + BLOCK_HEADER, EXT4_BLOCK - BLOCK_HEADER, BLOCK_HEADER);
	int rc = block_writer_alloc(s->writer, 1, ret, err);

	if (rc < 0)
		return rc;
	put_le32(block, EXT2_EXT_ATTR_MAGIC);
	put_le32(block + 8, 1); /* blocks */
	put_le32(block + 12, hash);
	return block_writer_put(s->writer, (uint64_t)*ret * EXT4_BLOCK, block, sizeof(block), err);
}

static void set_key(const struct items *items, char key[65])
{
	CLEANUP(digest_free_p) struct digest *d = digest_new(DIGEST_SHA256);
	char hex[DIGEST_HEX_MAX + 1];

	for (size_t k = 0; k < items->count; k++) {
		const struct item *i = &items->list[k];
		uint8_t head[8];

		put_le32(head, (uint32_t)i->index << 16 | (uint32_t)i->name_size);
		put_le32(head + 4, (uint32_t)i->size);
		digest_add(d, head, sizeof(head));
		digest_add(d, i->name, i->name_size);
		digest_add(d, i->value, i->size);
	}
	digest_hex(d, hex);
	memcpy(key, hex, 64);
	key[64] = '\0';
}

static struct xattr_set *set_at(const struct xattr_store *s, uint32_t set)
{
	return slab_at(&s->sets, set - 1);
}

int xattr_store_add(struct xattr_store *s, const struct tar_xattr *xattrs, size_t count,
		    uint32_t *ret, struct error *err)
{
	CLEANUP(items_release) struct items items = { 0 };
	struct xattr_set *set;
	bool with_block = false;
	uint32_t number, block = 0;
	char key[65];
	int rc;

	*ret = 0;
	if (count == 0)
		return 0;
	rc = collect(xattrs, count, &items, err);
	if (rc < 0 || items.count == 0)
		return rc;
	set_key(&items, key);
	number = (uint32_t)(uintptr_t)map_get(&s->known, key);
	if (number > 0 && (set_at(s, number)->block == 0 ||
			   set_at(s, number)->users < EXT2_EXT_ATTR_REFCOUNT_MAX)) {
		set_at(s, number)->users++;
		*ret = number;
		return 0;
	}
	rc = divide(&items, &with_block, err);
	if (rc == 0 && with_block)
		rc = write_block(s, &items, &block, err);
	if (rc < 0)
		return rc;
	number = slab_add(&s->sets) + 1;
	set = set_at(s, number);
	set->users = 1;
	set->block = block;
	set->inline_size = (uint8_t)inline_used(&items);
	if (set->inline_size > 0)
		(void)encode(&items, false, set->inline_data, XATTR_INLINE_MAX, 0);
	if (s->known.count < XATTR_SHARED_MAX || map_has(&s->known, key))
		(void)map_set(&s->known, key, (void *)(uintptr_t)number);
	*ret = number;
	return 0;
}

/* Entries of @area into @items; values are offsets into @base of @base_size bytes. */
static int decode(const uint8_t *area, size_t size, const uint8_t *base, size_t base_size,
		  struct items *items, size_t *room, struct error *err)
{
	size_t at = 0;

	while (at + TERMINATOR <= size && get_le32(area + at) != 0) {
		const uint8_t *p = area + at;
		struct item i = { .in_block = base_size == EXT4_BLOCK };
		size_t offset;

		if (at + ENTRY > size || at + ENTRY + p[0] > size)
			return error_set(err, E_INTEGRITY, "damaged extended attributes");
		i.name_size = p[0];
		i.index = p[1];
		i.name = (const char *)p + ENTRY;
		i.size = get_le32(p + 8);
		offset = get_le16(p + 2);
		if (i.size > base_size || offset > base_size - i.size)
			return error_set(err, E_INTEGRITY, "damaged extended attributes");
		i.value = base + offset;
		GROW_ARRAY(items->list, items->count, *room);
		items->list[items->count++] = i;
		at += EXT2_EXT_ATTR_LEN(i.name_size);
	}
	return 0;
}

int xattr_store_restore(struct xattr_store *s, const uint8_t *area, const uint8_t *block,
			uint32_t number, uint32_t *ret, struct error *err)
{
	CLEANUP(items_release) struct items items = { 0 };
	struct xattr_set *set;
	size_t room = 0;
	uint32_t known;
	char key[65];
	int rc = 0;

	if (area)
		rc = decode(area, XATTR_INLINE_MAX, area, XATTR_INLINE_MAX, &items, &room, err);
	if (rc == 0 && block)
		rc = decode(block + BLOCK_HEADER, EXT4_BLOCK - BLOCK_HEADER, block, EXT4_BLOCK,
			    &items, &room, err);
	if (rc < 0)
		return rc;
	qsort(items.list, items.count, sizeof(*items.list), compare_items);
	set_key(&items, key);
	known = (uint32_t)(uintptr_t)map_get(&s->known, key);
	if (known > 0 && set_at(s, known)->block == number) {
		set_at(s, known)->users++;
		*ret = known;
		return 0;
	}
	known = slab_add(&s->sets) + 1;
	set = set_at(s, known);
	set->users = 1;
	set->block = number;
	if (area) {
		set->inline_size = XATTR_INLINE_MAX;
		memcpy(set->inline_data, area, XATTR_INLINE_MAX);
	}
	if (s->known.count < XATTR_SHARED_MAX || map_has(&s->known, key))
		(void)map_set(&s->known, key, (void *)(uintptr_t)known);
	*ret = known;
	return 0;
}

void xattr_store_drop(struct xattr_store *s, uint32_t set)
{
	if (set > 0)
		set_at(s, set)->users--;
}

const struct xattr_set *xattr_store_get(const struct xattr_store *s, uint32_t set)
{
	return set > 0 ? set_at(s, set) : NULL;
}

int xattr_store_finish(struct xattr_store *s, struct error *err)
{
	uint8_t block[EXT4_BLOCK];

	for (uint32_t i = 1; i <= s->sets.count; i++) {
		struct xattr_set *set = set_at(s, i);
		uint64_t at = (uint64_t)set->block * EXT4_BLOCK;
		int rc;

		if (set->block == 0)
			continue;
		if (set->users == 0) {
			rc = block_writer_free(s->writer, set->block, 1, err);
			if (rc < 0)
				return rc;
			continue;
		}
		rc = block_writer_read(s->writer, at, block, sizeof(block), err);
		if (rc < 0)
			return rc;
		put_le32(block + 4, set->users);
		ext4_seal_xattrs(block, set->block);
		rc = block_writer_put(s->writer, at, block, sizeof(block), err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
