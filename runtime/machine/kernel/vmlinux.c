/* SPDX-License-Identifier: MIT */
/* Parses boot images and ELF kernels; every offset is checked against the size before it is used.
 */
#include "runtime/machine/kernel/vmlinux.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "runtime/archive/inflate.h"

/* Offsets in the x86 boot protocol's setup header. */
enum {
	SETUP_SECTS = 0x1f1,
	SETUP_BOOT_FLAG = 0x1fe,
	SETUP_MAGIC = 0x202,
	SETUP_VERSION = 0x206,
	SETUP_KERNEL_VERSION = 0x20e,
	SETUP_PAYLOAD_OFFSET = 0x248,
	SETUP_PAYLOAD_LENGTH = 0x24c,
	SETUP_END = 0x250,
};

enum {
	SECTOR = 512,
	DEFAULT_SETUP_SECTS = 4,
	PROTOCOL_WITH_PAYLOAD = 0x208,
	XEN_ELFNOTE_PHYS32_ENTRY = 18,
	SEGMENTS_MAX = 256,
};

static bool is_release_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_' || c == '+' || c == '~';
}

/* The word at @at, "" if it is too long or holds anything unusual. */
static void take_release(const uint8_t *at, size_t size, char *ret)
{
	size_t n = 0;
	while (n < size && n <= KERNEL_RELEASE_MAX && is_release_char((char)at[n]))
		n++;
	bool ends = n < size && (at[n] == ' ' || at[n] == '\0');
	if (n > KERNEL_RELEASE_MAX || !ends || at[0] == '.' || at[0] == '-')
		n = 0;
	memcpy(ret, at, n);
	ret[n] = '\0';
}

int bzimage_parse(const void *data, size_t size, struct bzimage *ret, struct error *err)
{
	const uint8_t *p = data;
	if (size < SETUP_END || get_le16(p + SETUP_BOOT_FLAG) != 0xaa55 ||
	    memcmp(p + SETUP_MAGIC, "HdrS", 4) != 0)
		return error_set(err, E_INVALID, "no x86 boot image");
	if (get_le16(p + SETUP_VERSION) < PROTOCOL_WITH_PAYLOAD)
		return error_set(err, E_INVALID, "boot image of a kernel older than 2.6.26");
	size_t sectors = p[SETUP_SECTS] ? p[SETUP_SECTS] : DEFAULT_SETUP_SECTS;
	size_t start = (sectors + 1) * SECTOR;
	size_t offset = get_le32(p + SETUP_PAYLOAD_OFFSET);
	size_t length = get_le32(p + SETUP_PAYLOAD_LENGTH);
	if (start > size || offset > size - start || length > size - start - offset || length < 8)
		return error_set(err, E_INVALID, "boot image is cut short");
	ret->payload_offset = start + offset;
	ret->payload_size = length;
	size_t name = (size_t)get_le16(p + SETUP_KERNEL_VERSION);
	ret->release[0] = '\0';
	if (name && name + SECTOR < size)
		take_release(p + name + SECTOR, size - name - SECTOR, ret->release);
	return 0;
}

/* Looks through one note segment for the PVH entry; false if it is not there. */
static bool find_pvh_note(const uint8_t *p, size_t size, uint64_t *ret_entry)
{
	while (size >= 12) {
		size_t name_size = get_le32(p), value_size = get_le32(p + 4);
		uint32_t type = get_le32(p + 8);
		p += 12;
		size -= 12;
		if (name_size > size || value_size > size)
			return false;
		size_t name_room = (name_size + 3) & ~(size_t)3;
		size_t value_room = (value_size + 3) & ~(size_t)3;
		if (name_room > size || value_size > size - name_room)
			return false;
		const uint8_t *value = p + name_room;
		if (type == XEN_ELFNOTE_PHYS32_ENTRY && name_size == 4 &&
		    memcmp(p, "Xen", 4) == 0 && (value_size == 4 || value_size == 8)) {
			*ret_entry = value_size == 8 ? get_le64(value) : get_le32(value);
			return true;
		}
		if (value_room > size - name_room)
			return false;
		p += name_room + value_room;
		size -= name_room + value_room;
	}
	return false;
}

int vmlinux_check(const void *data, size_t size, uint64_t *ret_entry, struct error *err)
{
	const uint8_t *p = data;
	if (size < sizeof(Elf64_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0)
		return error_set(err, E_INVALID, "no ELF kernel");
	if (p[EI_CLASS] != ELFCLASS64 || p[EI_DATA] != ELFDATA2LSB ||
	    get_le16(p + offsetof(Elf64_Ehdr, e_machine)) != EM_X86_64)
		return error_set(err, E_INVALID, "the kernel is not for x86-64");
	uint64_t table = get_le64(p + offsetof(Elf64_Ehdr, e_phoff));
	size_t count = get_le16(p + offsetof(Elf64_Ehdr, e_phnum));
	size_t step = get_le16(p + offsetof(Elf64_Ehdr, e_phentsize));
	if (count > 0 && (count > SEGMENTS_MAX || step < sizeof(Elf64_Phdr) || table > size ||
			  count * step > size - table))
		return error_set(err, E_INVALID, "the ELF kernel is cut short");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *segment = p + table + i * step;
		uint64_t offset = get_le64(segment + offsetof(Elf64_Phdr, p_offset));
		uint64_t length = get_le64(segment + offsetof(Elf64_Phdr, p_filesz));
		if (offset > size || length > size - offset)
			return error_set(err, E_INVALID, "the ELF kernel is cut short");
		if (get_le32(segment + offsetof(Elf64_Phdr, p_type)) == PT_NOTE &&
		    find_pvh_note(p + offset, length, ret_entry))
			return 0;
	}
	return error_set(err, E_INVALID,
			 "the kernel has no PVH entry: it must be built with CONFIG_PVH=y");
}

/* The kernel's own banner, "Linux version 6.1.0 (...". */
static void find_banner(const uint8_t *data, size_t size, char *ret_release)
{
	static const char banner[] = "Linux version ";
	const size_t n = sizeof(banner) - 1;
	ret_release[0] = '\0';
	for (const uint8_t *at = data; (size_t)(at - data) + n < size && !ret_release[0]; at++) {
		at = memmem(at, size - (size_t)(at - data), banner, n);
		if (!at)
			return;
		take_release(at + n, size - (size_t)(at - data) - n, ret_release);
	}
}

int vmlinux_extract(const void *data, size_t size, const char *what, struct buffer *out,
		    char *ret_release, struct error *err)
{
	uint64_t entry;
	const uint8_t *p = data;
	if (size >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0) {
		if (vmlinux_check(data, size, &entry, err) < 0)
			return error_wrap(err, "%s", what);
		find_banner(p, size, ret_release);
		return 0;
	}
	struct bzimage image = { 0 };
	if (bzimage_parse(data, size, &image, err) < 0)
		return error_wrap(err, "%s", what);
	const uint8_t *payload = p + image.payload_offset;
	size_t length = image.payload_size;
	/* The build appends the uncompressed size; for gzip that is part of the format. */
	if (payload[0] != 0x1f || payload[1] != 0x8b)
		length -= 4;
	size_t start = out->size;
	int r = inflate_bytes(payload, length, VMLINUX_MAX, what, out, err);
	if (r < 0)
		return r;
	const uint8_t *kernel = (const uint8_t *)buffer_str(out) + start;
	if (vmlinux_check(kernel, out->size - start, &entry, err) < 0)
		return error_wrap(err, "%s", what);
	memcpy(ret_release, image.release, sizeof(image.release));
	if (!ret_release[0])
		find_banner(kernel, out->size - start, ret_release);
	return 0;
}
