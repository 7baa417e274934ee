/* SPDX-License-Identifier: MIT */
/* Loading images from OCI layout folders, and telling sources apart. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/image/store/store_load.h"
#include "runtime/oci/registry_client.h"

enum { COPY_CHUNK = 1024 * 1024, LIST_NAMES_MAX = 16 };

/* Opens a file of the layout; no link leads out of the folder. Return: a descriptor or -code */
static int open_beneath(int dir, const char *path, struct error *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0)
		return errno == EXDEV
			       ? error_set(err, E_DENIED, "'%s' leads out of the folder", path)
			       : error_sys(err, "open '%s' of the OCI layout", path);
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, E_INTEGRITY, "'%s' of the OCI layout is no file", path);
	return take_fd(&fd);
}

static char *layout_path(const char *digest)
{
	return xasprintf("blobs/%.6s/%s", digest, digest + 7);
}

/* Copies one blob of the folder into the store, telling what arrives. */
static int copy_blob(struct load *l, const struct descriptor *d, struct blob_writer *w,
		     size_t index, const struct registry_fetch_events *ev, struct error *err)
{
	AUTO_FREE char *path = layout_path(d->digest);
	AUTO_CLOSE int fd = open_beneath(l->dir_fd, path, err);
	if (fd < 0)
		return fd;
	int rc = blob_writer_restart(w, err);
	if (rc == 0 && ev->on_open)
		ev->on_open(ev->arg, index, blob_writer_fd(w), 0);
	AUTO_FREE char *chunk = xmalloc(COPY_CHUNK);
	while (rc == 0) {
		if (ev->should_stop && ev->should_stop(ev->arg))
			return error_set(err, E_CANCELED, "stopped");
		ssize_t n = read(fd, chunk, COPY_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read '%s'", path);
		if (n == 0)
			break;
		rc = blob_writer_add(w, chunk, (size_t)n, err);
		if (rc == 0 && ev->on_bytes)
			ev->on_bytes(ev->arg, index, blob_writer_offset(w));
	}
	return rc == 0 ? blob_writer_finish(w, NULL, err) : rc;
}

static int bring_one(struct load *l, const struct descriptor *d, size_t index,
		     const struct registry_fetch_events *ev, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
	int rc = 0;
	if (!blob_exists(l->store->blobs, d->digest, d->size)) {
		if (l->dir_fd < 0)
			return error_set(err, E_INTEGRITY, "'%s' lacks the blob %s", l->path,
					 d->digest);
		rc = blob_writer_open(l->store->blobs, d->digest, d->size, LOCK_WAIT, &w, &one);
		if (rc == 0)
			rc = copy_blob(l, d, w, index, ev, &one);
	}
	if (rc < 0 && rc != -E_EXISTS)
		return error_move(err, &one);
	if (ev->on_done)
		ev->on_done(ev->arg, index);
	return 0;
}

static int bring(void *arg, const struct descriptor *const *blobs, size_t count,
		 const struct registry_fetch_events *events, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = bring_one(arg, blobs[i], i, events, err);
	return rc;
}

static int get_document(void *arg, const struct descriptor *d, struct document *ret,
			struct error *err)
{
	struct load *l = arg;
	const struct registry_fetch_events none = { 0 };
	if (d->size > MANIFEST_MAX_BYTES)
		return error_set(err, E_INTEGRITY, "%s is over 4 MiB", d->digest);
	int rc = bring_one(l, d, 0, &none, err);
	if (rc == 0)
		rc = blob_read(l->store->blobs, d->digest, MANIFEST_MAX_BYTES, &ret->body, err);
	if (rc < 0)
		return rc;
	ret->media_type = xstrdup(d->media_type);
	ret->digest = xstrdup(d->digest);
	return 0;
}

static int need_name(const struct load *l, const char *tag, struct error *err)
{
	AUTO_FREE char *shown = text_escaped(tag ? tag : "");
	return error_set(err, E_INVALID, "'%s' does not carry a full image name%s%s%s: give it one",
			 l->path, tag ? " (only '" : "", shown, tag ? "')" : "");
}

int load_finish(struct load *l, struct assembly *a, const struct strlist *names, struct image *ret,
		struct error *err)
{
	AUTO_STRLIST full = STRLIST_INIT;
	size_t count = l->name ? 1 : names->count;
	for (size_t i = 0; i < count; i++) {
		const char *name = l->name ? l->name : names->items[i];
		if (!l->name && !strpbrk(name, ":/"))
			return need_name(l, name, err);
		AUTO_REFERENCE r = REFERENCE_INIT;
		int rc = reference_parse(name, &r, err);
		if (rc < 0)
			return rc;
		free(r.digest);
		r.digest = NULL;
		if (!r.tag)
			r.tag = xstrdup("latest");
		strlist_take(&full, reference_text(&r));
	}
	if (full.count == 0)
		return need_name(l, NULL, err);
	int rc = assemble(l->store, a, bring, NULL, l, err);
	for (size_t i = 0; rc == 0 && i < full.count; i++) {
		struct image image = { 0 };
		rc = assembly_commit(l->store, a, full.items[i], &image, err);
		if (rc == 0 && i == 0)
			*ret = image;
		else
			image_release(&image);
	}
	return rc;
}

/* The entries of an index.json that l->choice means, moved to the front; what is left of them is
 * dropped. */
static int narrow(const struct load *l, struct manifest *index, struct error *err)
{
	AUTO_STRLIST names = STRLIST_INIT;
	size_t kept = 0;
	bool unnamed = false;
	for (size_t i = 0; i < index->entry_count; i++) {
		struct descriptor *d = &index->entries[i];
		const char *name = d->ref_name;
		AUTO_FREE char *shown = text_escaped(name ? name : "");
		if (name && !strlist_has(&names, shown) && names.count < LIST_NAMES_MAX)
			strlist_add(&names, shown);
		unnamed = unnamed || !name;
		if ((l->choice && !str_equal(name, l->choice)) || d->is_attestation) {
			descriptor_release(d);
			continue;
		}
		struct descriptor moved = *d;
		*d = (struct descriptor){ 0 };
		index->entries[kept++] = moved;
	}
	index->entry_count = kept;
	AUTO_FREE char *list = strlist_join(&names, ", ");
	if (kept == 0)
		return error_set(err, E_NOT_FOUND, "'%s' holds no such image; there are: %s",
				 l->path, names.count ? list : "none with a name");
	if (!l->choice && (names.count > 1 || (names.count == 1 && unnamed)))
		return error_set(err, E_INVALID,
				 "'%s' holds several images; add :NAME to say which: %s", l->path,
				 list);
	return 0;
}

int load_layout(struct load *l, const char *text, size_t size, struct image *ret, struct error *err)
{
	AUTO_MANIFEST index = MANIFEST_INIT;
	AUTO_FREE char *what = xasprintf("'%s'", l->path);
	int rc = manifest_decode(text, size, MEDIA_OCI_INDEX, what, &index, err);
	if (rc == 0)
		rc = narrow(l, &index, err);
	size_t entry = 0;
	if (rc == 0 && index.entry_count > 1)
		rc = index_choose(&index, &l->store->platform, what, &entry, err);
	if (rc < 0)
		return rc;
	const struct descriptor *d = &index.entries[entry];
	AUTO_STORE_DOCUMENT manifest = { 0 };
	AUTO_STORE_DOCUMENT config = { 0 };
	AUTO_FREE char *index_digest = NULL;
	AUTO_MANIFEST m = MANIFEST_INIT;
	AUTO_ASSEMBLY a = { 0 };
	rc = get_document(l, d, &manifest, err);
	if (rc == 0)
		rc = resolve_manifest(l->store, &manifest, get_document, l, what, &index_digest,
				      err);
	if (rc == 0)
		rc = manifest_decode(buffer_str(&manifest.body), manifest.body.size,
				     manifest.media_type, what, &m, err);
	if (rc == 0)
		rc = get_document(l, &m.config, &config, err);
	if (rc == 0)
		rc = assembly_init(l->store, &manifest, &config, what, &a, err);
	if (rc < 0)
		return rc;
	a.record.index_digest = TAKE_PTR(index_digest);
	AUTO_STRLIST names = STRLIST_INIT;
	if (d->ref_name)
		strlist_add(&names, d->ref_name);
	return load_finish(l, &a, &names, ret, err);
}

static int load_folder(struct load *l, struct image *ret, struct error *err)
{
	AUTO_CLOSE int dir = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, "open '%s'", l->path);
	AUTO_CLOSE int fd = open_beneath(dir, "index.json", err);
	if (fd < 0)
		return error_wrap(err, "'%s' is no OCI layout", l->path);
	AUTO_BUFFER text = BUFFER_INIT;
	int rc = fd_read_all(fd, &text, MANIFEST_MAX_BYTES, err);
	if (rc < 0)
		return error_wrap(err, "index.json of '%s'", l->path);
	l->dir_fd = dir;
	return load_layout(l, buffer_str(&text), text.size, ret, err);
}

enum source_kind { SOURCE_UNKNOWN, SOURCE_FOLDER, SOURCE_ARCHIVE };

static const struct {
	const char *prefix;
	enum source_kind kind;
} transports[] = {
	{ "oci:", SOURCE_FOLDER },
	{ "oci-archive:", SOURCE_ARCHIVE },
	{ "docker-archive:", SOURCE_ARCHIVE },
};

/* Splits "transport:path[:choice]"; a path with a colon in its name wins over a choice. */
static enum source_kind split_source(const char *source, char **ret_path, const char **ret_choice)
{
	enum source_kind kind = SOURCE_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (str_starts(source, transports[i].prefix)) {
			kind = transports[i].kind;
			source += strlen(transports[i].prefix);
			break;
		}
	}
	*ret_choice = NULL;
	*ret_path = xstrdup(source);
	struct stat st;
	for (const char *colon = strchr(source, ':'); stat(*ret_path, &st) < 0 && colon;
	     colon = strchr(colon + 1, ':')) {
		free(*ret_path);
		*ret_path = xstrndup(source, (size_t)(colon - source));
		*ret_choice = colon + 1;
	}
	if (stat(*ret_path, &st) < 0) {
		free(*ret_path);
		*ret_path = xstrdup(source);
		*ret_choice = NULL;
	} else if (kind == SOURCE_UNKNOWN) {
		kind = S_ISDIR(st.st_mode) ? SOURCE_FOLDER : SOURCE_ARCHIVE;
	}
	return kind;
}

/* Standard input, or the file l->path; -code if it cannot be opened. */
static int open_archive(const struct load *l, bool is_stdin, struct error *err)
{
	int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			  : open(l->path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_sys(err, "open '%s'", l->path) : fd;
}

static int load_from(struct load *l, enum source_kind kind, struct image *ret, struct error *err)
{
	bool is_stdin = str_equal(l->path, "-"); /* also of "docker-archive:-" */
	if (is_stdin)
		l->path = "standard input";
	else if (kind == SOURCE_UNKNOWN || !file_exists(l->path))
		return error_set(err, E_NOT_FOUND,
				 "there is no '%s'; images of registries are fetched by: ctrz "
				 "image pull",
				 l->path);
	if (kind == SOURCE_FOLDER)
		return load_folder(l, ret, err);
	AUTO_CLOSE int fd = open_archive(l, is_stdin, err);
	return fd < 0 ? fd : load_archive(l, fd, ret, err);
}

int image_store_load(struct image_store *s, const char *source, const char *name, struct image *ret,
		     struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(s, err);
	if (hold < 0)
		return hold;
	AUTO_FREE char *path = NULL;
	struct load l = { .store = s, .name = name, .dir_fd = -1 };
	enum source_kind kind = split_source(source, &path, &l.choice);
	l.path = path;
	int rc = load_from(&l, kind, ret, err);
	if (rc < 0)
		store_give_back_space(s, err);
	return rc < 0 ? error_wrap(err, "load '%s'", source) : 0;
}
