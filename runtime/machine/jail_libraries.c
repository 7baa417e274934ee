/* SPDX-License-Identifier: MIT */
/* Walks DT_NEEDED: the dynamic loader would have to run the program's libraries to tell the same.
 */
#include "runtime/machine/jail_libraries.h"

#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { LIBRARIES_MAX = 512, CONFIG_MAX = 64 * 1024 };

/* Where the loader looks besides what its configuration names. */
static const char *const default_folders[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
};

struct elf {
	const char *path;
	uint8_t *data;
	size_t size;
	const Elf64_Phdr *headers;
	size_t header_count;
};

static void elf_close(struct elf *e)
{
	if (e->data)
		(void)munmap(e->data, e->size);
}

static bool in_file(const struct elf *e, uint64_t at, uint64_t size)
{
	return at <= e->size && size <= e->size - at;
}

static int elf_open(const char *path, struct elf *e, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open '%s'", path);
	if (st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return error_set(err, E_INVALID, "'%s' is no program", path);
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return error_sys(err, "map '%s'", path);
	*e = (struct elf){ .path = path, .data = at, .size = (size_t)st.st_size };
	const Elf64_Ehdr *h = at;
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff % 8 != 0 ||
	    !in_file(e, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
		return error_set(err, E_INVALID, "'%s' is no 64-bit ELF file", path);
	e->headers = (const Elf64_Phdr *)(const void *)(e->data + h->e_phoff);
	e->header_count = h->e_phnum;
	return 0;
}

static const Elf64_Phdr *elf_find(const struct elf *e, uint32_t type)
{
	for (size_t i = 0; i < e->header_count; i++)
		if (e->headers[i].p_type == type &&
		    in_file(e, e->headers[i].p_offset, e->headers[i].p_filesz))
			return &e->headers[i];
	return NULL;
}

/* The string at an address of the loaded image, or NULL. */
static const char *elf_string(const struct elf *e, uint64_t address)
{
	for (size_t i = 0; i < e->header_count; i++) {
		const Elf64_Phdr *p = &e->headers[i];
		if (p->p_type != PT_LOAD || address < p->p_vaddr ||
		    address - p->p_vaddr >= p->p_filesz || !in_file(e, p->p_offset, p->p_filesz))
			continue;
		uint64_t at = p->p_offset + (address - p->p_vaddr);
		return memchr(e->data + at, 0, e->size - at) ? (const char *)e->data + at : NULL;
	}
	return NULL;
}

static void add_config_folders(const char *file, struct strlist *folders)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (file_read(file, CONFIG_MAX, &text, &err) < 0) {
		error_ignore(&err, "read the loader's configuration");
		return;
	}
	for (char *at = text.data; at && *at;) {
		size_t n = strcspn(at, "\n");
		if (*at == '/')
			strlist_take(folders, xstrndup(at, strcspn(at, " \t\r\n#")));
		at += n + (at[n] == '\n');
	}
}

static void list_folders(struct strlist *folders)
{
	glob_t found = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(default_folders); i++)
		strlist_add(folders, default_folders[i]);
	if (glob("/etc/ld.so.conf.d/*.conf", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_config_folders(found.gl_pathv[i], folders);
	globfree(&found);
}

/* Owned path of a library, or NULL. @own: the library path of the file that names it, "a:b", or
 * NULL. */
static char *find_library(const char *name, const char *own, const struct strlist *folders)
{
	for (const char *at = own; at && *at;) {
		size_t n = strcspn(at, ":");
		AUTO_FREE char *folder = xstrndup(at, n);
		AUTO_FREE char *path = path_join(folder, name);
		if (folder[0] == '/' && file_exists(path))
			return TAKE_PTR(path);
		at += n + (at[n] == ':');
	}
	for (size_t i = 0; i < folders->count; i++) {
		AUTO_FREE char *path = path_join(folders->items[i], name);
		if (file_exists(path))
			return TAKE_PTR(path);
	}
	return NULL;
}

static int add_needed(struct jail_libraries *l, const struct elf *e, const char *name,
		      const char *own, const struct strlist *folders, struct error *err)
{
	if (strlist_has(&l->names, name) || strchr(name, '/'))
		return 0;
	if (l->interpreter && str_equal(path_basename(l->interpreter), name))
		return 0;
	if (l->names.count >= LIBRARIES_MAX)
		return error_set(err, E_INVALID, "'%s' needs over %d libraries", e->path,
				 LIBRARIES_MAX);
	char *path = find_library(name, own, folders);
	if (!path)
		return error_set(err, E_NOT_FOUND, "library '%s', which '%s' needs, is not found",
				 name, e->path);
	strlist_add(&l->names, name);
	strlist_take(&l->paths, path);
	return 0;
}

static int read_dynamic(struct jail_libraries *l, const struct elf *e,
			const struct strlist *folders, struct error *err)
{
	const Elf64_Phdr *p = elf_find(e, PT_DYNAMIC);
	const uint8_t *data = e->data;
	uint64_t strings = 0, own_at = 0;
	bool has_own = false;

	if (!p || !data || p->p_offset % 8 != 0)
		return 0;
	const Elf64_Dyn *d = (const Elf64_Dyn *)(const void *)(data + p->p_offset);
	size_t count = p->p_filesz / sizeof(*d);
	for (size_t i = 0; i < count && d[i].d_tag != DT_NULL; i++) {
		if (d[i].d_tag == DT_STRTAB)
			strings = d[i].d_un.d_ptr;
		if (d[i].d_tag == DT_RUNPATH || d[i].d_tag == DT_RPATH) {
			own_at = d[i].d_un.d_val;
			has_own = true;
		}
	}
	const char *own = has_own ? elf_string(e, strings + own_at) : NULL;
	for (size_t i = 0; i < count && d[i].d_tag != DT_NULL; i++) {
		if (d[i].d_tag != DT_NEEDED)
			continue;
		const char *name = elf_string(e, strings + d[i].d_un.d_val);
		if (!name || !*name)
			return error_set(err, E_INVALID, "'%s' has a broken dynamic section",
					 e->path);
		if (add_needed(l, e, name, own, folders, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int add_one(struct jail_libraries *l, const char *path, const struct strlist *folders,
		   struct error *err)
{
	CLEANUP(elf_close) struct elf e = { 0 };

	if (elf_open(path, &e, err) < 0)
		return -(int)err->code;
	const Elf64_Phdr *p = elf_find(&e, PT_INTERP);
	if (p && e.data && !l->interpreter && p->p_filesz > 1 &&
	    e.data[p->p_offset + p->p_filesz - 1] == 0)
		l->interpreter = xstrdup((const char *)e.data + p->p_offset);
	return read_dynamic(l, &e, folders, err);
}

int jail_libraries_add(struct jail_libraries *l, const char *path, struct error *err)
{
	AUTO_STRLIST folders = STRLIST_INIT;
	size_t next = l->paths.count;

	list_folders(&folders);
	if (add_one(l, path, &folders, err) < 0)
		return -(int)err->code;
	/* The list grows while its new part is walked. */
	for (; next < l->paths.count; next++)
		if (add_one(l, l->paths.items[next], &folders, err) < 0)
			return -(int)err->code;
	return 0;
}

void jail_libraries_release(struct jail_libraries *l)
{
	strlist_release(&l->names);
	strlist_release(&l->paths);
	free(l->interpreter);
	*l = (struct jail_libraries){ 0 };
}
