/* SPDX-License-Identifier: MIT */
/* Finds .modinfo, a row of NUL-terminated "key=value" strings, in an ELF object file. */
#include "runtime/machine/kernel/module_info.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"

enum { NAMES_MAX = 256 };

struct section {
	const uint8_t *data;
	size_t size;
	size_t name; /* offset into the section names */
};

struct object {
	const uint8_t *data;
	size_t size;
	uint64_t table;
	size_t count, step, names_index;
};

static bool object_open(const void *data, size_t size, struct object *o)
{
	const uint8_t *p = data;
	if (size < sizeof(Elf64_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0 ||
	    p[EI_CLASS] != ELFCLASS64 || p[EI_DATA] != ELFDATA2LSB ||
	    get_le16(p + offsetof(Elf64_Ehdr, e_type)) != ET_REL ||
	    get_le16(p + offsetof(Elf64_Ehdr, e_machine)) != EM_X86_64)
		return false;
	*o = (struct object){
		.data = p,
		.size = size,
		.table = get_le64(p + offsetof(Elf64_Ehdr, e_shoff)),
		.count = get_le16(p + offsetof(Elf64_Ehdr, e_shnum)),
		.step = get_le16(p + offsetof(Elf64_Ehdr, e_shentsize)),
		.names_index = get_le16(p + offsetof(Elf64_Ehdr, e_shstrndx)),
	};
	return o->step >= sizeof(Elf64_Shdr) && o->table <= size &&
	       o->count * o->step <= size - o->table && o->names_index < o->count;
}

static bool object_section(const struct object *o, size_t index, struct section *ret)
{
	const uint8_t *header = o->data + o->table + index * o->step;
	uint64_t offset = get_le64(header + offsetof(Elf64_Shdr, sh_offset));
	uint64_t size = get_le64(header + offsetof(Elf64_Shdr, sh_size));
	if (get_le32(header + offsetof(Elf64_Shdr, sh_type)) != SHT_PROGBITS &&
	    get_le32(header + offsetof(Elf64_Shdr, sh_type)) != SHT_STRTAB)
		return false;
	if (offset > o->size || size > o->size - offset)
		return false;
	*ret = (struct section){ o->data + offset, size,
				 get_le32(header + offsetof(Elf64_Shdr, sh_name)) };
	return true;
}

static bool find_modinfo(const struct object *o, struct section *ret)
{
	static const char wanted[] = ".modinfo";
	struct section names;
	if (!object_section(o, o->names_index, &names))
		return false;
	for (size_t i = 0; i < o->count; i++)
		if (object_section(o, i, ret) && ret->name < names.size &&
		    names.size - ret->name >= sizeof(wanted) &&
		    memcmp(names.data + ret->name, wanted, sizeof(wanted)) == 0)
			return true;
	return false;
}

/* Module names divided by @separators; anything that is no plain name is left out. */
static void add_names(struct strlist *to, const char *text, size_t size, const char *separators)
{
	size_t at = 0;
	while (at < size && to->count < NAMES_MAX) {
		size_t n = 0;
		bool plain = true;
		while (at + n < size && !strchr(separators, text[at + n])) {
			char c = text[at + n++];
			plain = plain && c > ' ' && c != '/' && c != '.' && c != '\x7f';
		}
		if (n > 0 && plain) {
			char *name = xstrndup(text + at, n);
			for (char *c = name; *c; c++)
				*c = *c == '-' ? '_' : *c;
			strlist_take(to, name);
		}
		at += n + 1;
	}
}

/* "pre: a b post: c" -> a, b */
static void add_wishes(struct strlist *to, const char *text, size_t size)
{
	const char *pre = memmem(text, size, "pre:", 4);
	if (!pre)
		return;
	const char *end = text + size;
	const char *post = memmem(pre, (size_t)(end - pre), "post:", 5);
	add_names(to, pre + 4, (size_t)((post ? post : end) - pre - 4), " ");
}

int module_info_parse(const void *data, size_t size, struct module_info *ret, struct error *err)
{
	struct object o;
	struct section info;
	if (!object_open(data, size, &o))
		return error_set(err, E_INVALID, "no x86-64 kernel module");
	if (!find_modinfo(&o, &info))
		return error_set(err, E_INVALID, "kernel module without .modinfo");
	*ret = (struct module_info){ 0 };
	const char *text = (const char *)info.data;
	for (size_t at = 0; at < info.size;) {
		size_t n = strnlen(text + at, info.size - at);
		if (n > 8 && memcmp(text + at, "depends=", 8) == 0)
			add_names(&ret->depends, text + at + 8, n - 8, ",");
		else if (n > 8 && memcmp(text + at, "softdep=", 8) == 0)
			add_wishes(&ret->wishes, text + at + 8, n - 8);
		at += n + 1;
	}
	return 0;
}

void module_info_release(struct module_info *info)
{
	strlist_release(&info->depends);
	strlist_release(&info->wishes);
}
