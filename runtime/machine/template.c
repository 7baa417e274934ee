/* SPDX-License-Identifier: MIT */
/* The folder of templates: finding, checking, listing and removing them. */
/*
 * DOC: Theory of Operation
 *
 * A template is named by a digest of what it depends on: whatever changes, another one is looked
 * for, and none that is older can be taken for it. Its record holds the digest of the state, and of
 * the memory, which is too large to be read for each start, what the kernel says of its file: inode
 * and time of change differ for any file that was written, cut, swapped or copied.
 */
#include "runtime/machine/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/log.h"
#include "runtime/machine/keeper_lock.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/memory_copy.h"
#include "runtime/machine/template_internal.h"

/* Changes with the layout of a template, and with what a machine is told before it is saved. */
#define TEMPLATE_FORMAT 3

enum {
	KEY_DIGITS = TEMPLATE_KEY_SIZE - 1,
	RECORD_MAX = 64 * 1024,
	LOCK_WAIT_MS = 150 * 1000, /* others make theirs first */
	FAILED_MS = 10 * 60 * 1000,
	TEMPLATES_MAX = 16, /* the one used longest ago goes */
};

#define UNUSED_MS (30ULL * 24 * 3600 * 1000)

void template_close(struct template *t)
{
	cleanup_close(&t->memory_fd);
	cleanup_close(&t->state_fd);
	cleanup_close(&t->disk_fd);
	*t = TEMPLATE_INIT;
}

bool template_suits(const struct machine_config *m, enum template_kind kind)
{
	const struct qemu_seats seats = qemu_seats(m);
	unsigned lower = 0, upper = 0;

	if (kind == TEMPLATE_MACHINE)
		return true;
	if (!seats.lower || !seats.upper || !seats.upper->empty || !*seats.upper->empty ||
	    !setup_is_rehearsed(&m->setup))
		return false;
	/* The root stands on the disks that have a seat, and on no others. */
	for (size_t i = 0; i < m->setup.disk_count; i++) {
		const struct setup_disk *d = &m->setup.disks[i];
		lower += d->role == DISK_LOWER;
		upper += d->role == DISK_UPPER;
		if ((d->role == DISK_LOWER && !str_equal(d->serial, seats.lower->serial)) ||
		    (d->role == DISK_UPPER && !str_equal(d->serial, seats.upper->serial)))
			return false;
	}
	return lower == 1 && upper == 1;
}

/* An image's disk never changes, but another one can be of the same layers. */
static int identify_image(const struct qemu_seats *seats, struct buffer *out, struct error *err)
{
	struct stat st;

	if (stat(seats->lower->path, &st) < 0)
		return error_sys(err, "look at '%s'", seats->lower->path);
	buffer_printf(out, "image %s %jd %ju %ju %jd.%09ld, empty %s\n",
		      path_basename(seats->lower->path), (intmax_t)st.st_size, (uintmax_t)st.st_dev,
		      (uintmax_t)st.st_ino, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		      seats->upper->empty);
	return 0;
}

int template_key(const struct keeper_config *c, enum template_kind kind, char **ret,
		 struct error *err)
{
	const struct qemu_seats seats = qemu_seats(&c->machine);
	AUTO_BUFFER text = BUFFER_INIT;
	char hex[65];

	buffer_printf(&text, "template %d, protocol %d\n", TEMPLATE_FORMAT, PROTOCOL_VERSION);
	/* The agent remembers the seats by these. */
	buffer_printf(&text, "disks %s %s\n", seats.lower ? seats.lower->serial : "-",
		      seats.upper ? seats.upper->serial : "-");
	if (qemu_identity(c, &text, err) < 0 ||
	    (kind == TEMPLATE_IMAGE && identify_image(&seats, &text, err) < 0))
		return -(int)err->code;
	sha256_hex(text.data, text.size, hex);
	*ret = xasprintf("%.*s", (int)KEY_DIGITS, hex);
	return 0;
}

/* A file of a template that nobody but us could have written. */
static int open_ours(int folder, const char *name, struct stat *st, struct error *err)
{
	AUTO_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, st) < 0)
		return error_sys(err, "open '%s'", name);
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || (st->st_mode & 077) != 0 ||
	    st->st_nlink != 1)
		return error_set(err, E_INTEGRITY, "'%s' is no file of ours alone", name);
	return take_fd(&fd);
}

static int open_folder(const char *path, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return error_set(err, E_INTEGRITY, "'%s' is not ours alone", path);
	return take_fd(&fd);
}

static char *change_time(const struct stat *st)
{
	return xasprintf("%jd.%09ld", (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static int digest_state(int fd, char hex[65], struct error *err)
{
	AUTO_BUFFER state = BUFFER_INIT;

	if (fd_read_all(fd, &state, TEMPLATE_STATE_MAX, err) < 0)
		return -(int)err->code;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_sys(err, "rewind the state");
	sha256_hex(state.data, state.size, hex);
	return 0;
}

static struct json *seats_json(const struct machine_config *m)
{
	const struct qemu_seats s = qemu_seats(m);
	struct json *o = json_new_object();

	if (s.lower)
		json_set_string(o, "lower", s.lower->serial);
	if (s.upper)
		json_set_string(o, "upper", s.upper->serial);
	json_set_bool(o, "nic", s.nic != NULL);
	json_set_int(o, "mtu", s.nic ? s.nic->mtu : 0);
	return o;
}

/* A file that is too large to be read each time: what the kernel says of it is put into @facts.
 * Return: its descriptor, or -code */
static int open_and_note(int dir, const char *name, struct json *facts, struct stat *st,
			 struct error *err)
{
	AUTO_FREE char *bytes_key = xasprintf("%s_bytes", name);
	AUTO_FREE char *inode_key = xasprintf("%s_inode", name);
	AUTO_FREE char *changed_key = xasprintf("%s_changed", name);
	int fd = open_ours(dir, name, st, err);

	if (fd < 0)
		return fd;
	AUTO_FREE char *changed = change_time(st);
	json_set_int(facts, bytes_key, (int64_t)st->st_size);
	json_set_int(facts, inode_key, (int64_t)st->st_ino);
	json_set_string(facts, changed_key, changed);
	return fd;
}

/* Also adds to @bytes what it takes of the disk. */
static int note_file(int dir, const char *name, struct json *o, uint64_t *bytes, struct error *err)
{
	struct stat st;
	AUTO_CLOSE int fd = open_and_note(dir, name, o, &st, err);

	if (fd < 0)
		return fd;
	*bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

static bool are_noted(const struct json *o, struct json *facts)
{
	for (void *i = json_iter(facts); i; i = json_iter_next(facts, i)) {
		const struct json *noted = json_member(o, json_iter_key(i));
		AUTO_FREE char *then = noted ? json_text(noted) : NULL;
		AUTO_FREE char *now = json_text(json_iter_value(i));
		if (!str_equal(then, now))
			return false;
	}
	return true;
}

/* Return: the descriptor of a file that is as it was noted, or -code */
static int open_noted(int dir, const char *name, const struct json *o, uint64_t *ret_bytes,
		      struct error *err)
{
	AUTO_JSON facts = json_new_object();
	struct stat st;
	AUTO_CLOSE int fd = open_and_note(dir, name, facts, &st, err);

	if (fd < 0)
		return fd;
	if (!are_noted(o, facts))
		return error_set(err, E_INTEGRITY, "its %s is not the one that was saved", name);
	*ret_bytes = (uint64_t)st.st_size;
	return take_fd(&fd);
}

int template_write_record(const char *folder, const char *key, const struct keeper_config *c,
			  enum template_kind kind, struct error *err)
{
	const struct machine_config *m = &c->machine;
	const struct qemu_seats seats = qemu_seats(m);
	AUTO_FREE char *path = path_join(folder, TEMPLATE_RECORD);
	AUTO_JSON o = json_new_object();
	AUTO_BUFFER text = BUFFER_INIT;
	struct stat state;
	uint64_t bytes = 0;
	char hex[65];

	AUTO_CLOSE int dir = open_folder(folder, err);
	if (dir < 0)
		return dir;
	AUTO_CLOSE int state_fd = open_ours(dir, TEMPLATE_STATE, &state, err);
	if (state_fd < 0 || digest_state(state_fd, hex, err) < 0 ||
	    note_file(dir, TEMPLATE_MEMORY, o, &bytes, err) < 0 ||
	    (kind == TEMPLATE_IMAGE && note_file(dir, TEMPLATE_DISK, o, &bytes, err) < 0))
		return -(int)err->code;
	json_set_string(o, "key", key);
	json_set_string(o, "kernel", m->kernel);
	json_set_string(o, "initrd", m->initrd);
	json_set_string(o, "kernel_args", m->kernel_args ? m->kernel_args : "");
	json_set_string(o, "qemu", c->qemu);
	json_set_bool(o, "kvm", c->kvm);
	json_set_int(o, "cpus", m->cpus);
	json_set_int(o, "devices", qemu_root_ports(m, true));
	json_set(o, "seats", seats_json(m));
	json_set_string(o, "image", kind == TEMPLATE_IMAGE ? seats.lower->path : "");
	json_set_string(o, "empty", kind == TEMPLATE_IMAGE ? seats.upper->empty : "");
	json_set_int(o, "size_bytes", (int64_t)bytes + state.st_size);
	json_set_string(o, "state_sha256", hex);
	json_set_int(o, "created_unix_ms", (int64_t)clock_unix_ms());
	json_print(o, 1, false, &text);
	buffer_add_char(&text, '\n');
	return file_write_atomic(path, text.data, text.size, 0600, err);
}

static int read_record(int dir, struct json **ret, struct stat *st, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_CLOSE int fd = open_ours(dir, TEMPLATE_RECORD, st, err);

	if (fd < 0 || fd_read_all(fd, &text, RECORD_MAX, err) < 0)
		return -(int)err->code;
	return json_parse(text.data, text.size, RECORD_MAX, TEMPLATE_RECORD, ret, err);
}

static bool is_of_image(const struct json *o)
{
	return *json_str(o, "image", "") != '\0';
}

static int open_files(int dir, const struct json *o, struct template *t, struct error *err)
{
	struct stat st;
	char hex[65];

	t->kind = is_of_image(o) ? TEMPLATE_IMAGE : TEMPLATE_MACHINE;
	t->memory_fd = open_noted(dir, TEMPLATE_MEMORY, o, &t->memory_bytes, err);
	if (t->memory_fd < 0)
		return -(int)err->code;
	if (t->kind == TEMPLATE_IMAGE) {
		t->disk_fd = open_noted(dir, TEMPLATE_DISK, o, &t->disk_bytes, err);
		if (t->disk_fd < 0)
			return -(int)err->code;
	}
	t->state_fd = open_ours(dir, TEMPLATE_STATE, &st, err);
	if (t->state_fd < 0 || digest_state(t->state_fd, hex, err) < 0)
		return -(int)err->code;
	if (!str_equal(hex, json_str(o, "state_sha256", "")))
		return error_set(err, E_INTEGRITY, "its state is not the one that was saved");
	return 0;
}

/* What it holds is checked; whether it is wanted is not. */
static int open_checked(const char *folder, const char *key, struct template *ret,
			struct json **ret_record, struct stat *st, struct error *err)
{
	AUTO_FREE char *path = path_join(folder, key);
	struct template t = TEMPLATE_INIT;
	AUTO_JSON o = NULL;

	AUTO_CLOSE int dir = open_folder(path, err);
	if (dir == -E_NOT_FOUND)
		return dir;
	int r = dir < 0 ? dir : read_record(dir, &o, st, err);
	if (r == 0 && !str_equal(json_str(o, "key", ""), key))
		r = error_set(err, E_INTEGRITY, "it is another one's");
	if (r == 0)
		r = open_files(dir, o, &t, err);
	if (r < 0) {
		template_close(&t);
		err->code = E_INTEGRITY;
		return error_wrap(err, "the template '%s' cannot be used", path);
	}
	(void)snprintf(t.key, sizeof(t.key), "%s", key);
	*ret = t;
	*ret_record = TAKE_PTR(o);
	return 0;
}

int template_open(const char *folder, const struct keeper_config *c, enum template_kind kind,
		  struct template *ret, struct error *err)
{
	AUTO_FREE char *key = NULL;
	AUTO_JSON record = NULL;
	struct stat st;

	if (template_key(c, kind, &key, err) < 0 ||
	    open_checked(folder, key, ret, &record, &st, err) < 0)
		return -(int)err->code;
	if (ret->kind == kind && ret->memory_bytes == qemu_memory_bytes(&c->machine)) {
		/* The folder's time says when it was used last. */
		AUTO_FREE char *path = path_join(folder, key);
		(void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
		return 0;
	}
	template_close(ret);
	return error_set(err, E_INTEGRITY, "the template '%s/%s' is of another machine", folder,
			 key);
}

int template_fill_disk(const struct template *t, const char *path, struct error *err)
{
	AUTO_FREE char *made = xasprintf("%s" TEMPLATE_NEW, path);
	AUTO_CLOSE int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 || ftruncate(fd, (off_t)t->disk_bytes) < 0
			? error_sys(err, "create '%s'", made)
			: 0;

	if (r == 0 && memory_copy(t->disk_fd, fd, t->disk_bytes, err) < 0)
		r = error_wrap(err, "fill '%s'", made);
	if (r == 0 && rename(made, path) < 0)
		r = error_sys(err, "put '%s' in place", path);
	if (r < 0)
		(void)unlink(made);
	return r;
}

/* Named anew first: whoever opens it finds all of it or nothing. */
static int remove_one(const char *folder, const char *key, struct error *err)
{
	AUTO_FREE char *path = path_join(folder, key);
	AUTO_FREE char *gone = xasprintf("%s" TEMPLATE_NEW, path);

	if (dir_remove_tree(gone, err) < 0)
		return -(int)err->code;
	if (rename(path, gone) < 0 && errno != ENOENT)
		return error_sys(err, "remove '%s'", path);
	return dir_remove_tree(gone, err);
}

static int lock_folder(const char *folder, struct error *err)
{
	AUTO_FREE char *path = path_join(folder, "lock");

	if (dir_make(folder, 0700, err) < 0)
		return -(int)err->code;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (lock_within(fd, LOCK_EX, LOCK_WAIT_MS) < 0)
		return error_set(err, E_TIMEOUT, "others make templates in '%s' for too long",
				 folder);
	return take_fd(&fd);
}

void template_discard(const char *folder, const char *key)
{
	AUTO_ERROR err = ERROR_INIT;

	if (remove_one(folder, key, &err) < 0)
		error_ignore(&err, "remove a template");
}

static int failed_lately(const char *failed, struct error *err)
{
	AUTO_BUFFER why = BUFFER_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	struct stat st;
	uint64_t now = clock_unix_ms();

	if (stat(failed, &st) < 0)
		return 0;
	uint64_t then = (uint64_t)st.st_mtim.tv_sec * 1000;
	if (then > now || now - then > FAILED_MS)
		return 0;
	if (file_read(failed, RECORD_MAX, &why, &ignored) < 0)
		error_ignore(&ignored, "read why a template failed");
	return error_set(err, E_UNAVAILABLE, "%s", buffer_str(&why));
}

static enum template_kind template_kind_of(const struct template_info *t)
{
	return *t->image ? TEMPLATE_IMAGE : TEMPLATE_MACHINE;
}

/* There is to be room for one more of that kind. */
static void remove_unused(const char *folder, enum template_kind kind)
{
	struct template_list list = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	uint64_t now = clock_unix_ms();
	size_t left = 0;

	if (template_list(folder, &list, &err) < 0)
		error_ignore(&err, "list the templates");
	for (size_t i = 0; i < list.count; i++)
		left += template_kind_of(&list.items[i]) == kind;
	for (; left > 0; left--) {
		struct template_info *oldest = NULL;
		for (size_t i = 0; i < list.count; i++) {
			struct template_info *t = &list.items[i];
			if (t->name && template_kind_of(t) == kind &&
			    (!oldest || t->used_unix_ms < oldest->used_unix_ms))
				oldest = t;
		}
		if (!oldest || (left < TEMPLATES_MAX && oldest->used_unix_ms + UNUSED_MS > now))
			break;
		if (remove_one(folder, oldest->name, &err) < 0)
			error_ignore(&err, "remove an old template");
		free(TAKE_PTR(oldest->name));
	}
	template_list_release(&list);
}

/* The lock is held. */
static int make_locked(const char *folder, const char *key, const struct keeper_config *c,
		       enum template_kind kind, struct error *err)
{
	AUTO_FREE char *failed = xasprintf("%s/%s.failed", folder, key);
	struct template t = TEMPLATE_INIT;
	AUTO_ERROR why = ERROR_INIT;

	if (template_open(folder, c, kind, &t, &why) == 0) {
		template_close(&t);
		return 0;
	}
	if (why.code == E_INTEGRITY)
		log_warn("%s; it is made anew", error_message(&why));
	error_ignore(&why, "use a template");
	if (failed_lately(failed, err) < 0 || remove_one(folder, key, err) < 0)
		return -(int)err->code;
	remove_unused(folder, kind);
	if (template_make(folder, key, c, kind, err) == 0)
		return file_remove(failed, err);
	AUTO_FREE char *text = xstrdup(error_message(err));
	if (file_write_atomic(failed, text, strlen(text), 0600, &why) < 0)
		error_ignore(&why, "remember that a template could not be made");
	return -(int)err->code;
}

int template_ensure(const char *folder, const struct keeper_config *c, enum template_kind kind,
		    struct error *err)
{
	AUTO_FREE char *key = NULL;
	struct template t = TEMPLATE_INIT;
	AUTO_ERROR why = ERROR_INIT;

	/* Without the lock: whoever only uses one waits for nobody. */
	if (template_open(folder, c, kind, &t, &why) == 0) {
		template_close(&t);
		return 0;
	}
	error_ignore(&why, "use a template");
	if ((kind == TEMPLATE_IMAGE && template_ensure(folder, c, TEMPLATE_MACHINE, err) < 0) ||
	    template_key(c, kind, &key, err) < 0)
		return -(int)err->code;
	AUTO_CLOSE int lock = lock_folder(folder, err);
	if (lock < 0)
		return lock;
	int r = make_locked(folder, key, c, kind, err);
	return r < 0 ? error_wrap(err, "make a template of the %s",
				  kind == TEMPLATE_IMAGE ? "image" : "machine")
		     : 0;
}

static void info_release(struct template_info *t)
{
	free(t->name);
	free(t->kernel);
	free(t->image);
}

void template_list_release(struct template_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		info_release(&l->items[i]);
	free(l->items);
	*l = (struct template_list){ 0 };
}

const char *template_state_name(enum template_state state)
{
	static const char *const names[TEMPLATE_STATES] = { "ready", "stale", "broken" };

	return names[state];
}

/* Whether the files it was made from still are what they were. */
static bool is_current(const struct json *o, const char *key)
{
	char *texts[] = {
		xstrdup(json_str(o, "kernel", "")),      xstrdup(json_str(o, "initrd", "")),
		xstrdup(json_str(o, "kernel_args", "")), xstrdup(json_str(o, "qemu", "")),
		xstrdup(json_str(o, "image", "")),       xstrdup(json_str(o, "empty", ""))
	};
	struct keeper_config c = {
		.machine = { .kernel = texts[0],
			     .initrd = texts[1],
			     .kernel_args = texts[2],
			     .cpus = (unsigned)json_u64(o, "cpus", 0),
			     .memory_bytes = json_u64(o, "memory_bytes", 0),
			     .attached = true },
		.qemu = texts[3],
		.kvm = json_bool(o, "kvm", false),
	};
	const struct json *seats = json_member_object(o, "seats");
	AUTO_FREE char *lower = xstrdup_null(json_str(seats, "lower", NULL));
	AUTO_FREE char *upper = xstrdup_null(json_str(seats, "upper", NULL));
	struct template_seating seating = { .lower = lower,
					    .upper = upper,
					    .image = texts[4],
					    .empty = texts[5],
					    .has_nic = json_bool(seats, "nic", false),
					    .mtu = (uint32_t)json_u64(seats, "mtu", 0) };
	AUTO_FREE char *now = NULL;
	AUTO_ERROR err = ERROR_INIT;

	template_seat(&c.machine, &seating, (unsigned)json_u64(o, "devices", 0));
	enum template_kind kind = is_of_image(o) ? TEMPLATE_IMAGE : TEMPLATE_MACHINE;
	if (template_key(&c, kind, &now, &err) < 0)
		error_ignore(&err, "look at what a template was made from");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	return str_equal(now, key);
}

static void describe(const char *folder, const char *key, struct template_info *ret)
{
	struct template t = TEMPLATE_INIT;
	AUTO_JSON o = NULL;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *path = path_join(folder, key);
	struct stat st;

	*ret = (struct template_info){ .name = xstrdup(key), .state = TEMPLATE_BROKEN };
	if (stat(path, &st) == 0)
		ret->used_unix_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
	if (open_checked(folder, key, &t, &o, &st, &err) < 0) {
		error_ignore(&err, "look at a template");
		ret->kernel = xstrdup("");
		ret->image = xstrdup("");
		return;
	}
	template_close(&t);
	ret->kernel = xstrdup(json_str(o, "kernel", ""));
	ret->image = xstrdup(json_str(o, "image", ""));
	ret->kvm = json_bool(o, "kvm", false);
	ret->cpus = (unsigned)json_u64(o, "cpus", 0);
	ret->devices = (unsigned)json_u64(o, "devices", 0);
	ret->memory_bytes = json_u64(o, "memory_bytes", 0);
	ret->size_bytes = json_u64(o, "size_bytes", 0);
	ret->created_unix_ms = json_u64(o, "created_unix_ms", 0);
	ret->state = is_current(o, key) ? TEMPLATE_READY : TEMPLATE_STALE;
}

static bool is_key(const char *name)
{
	return strlen(name) == KEY_DIGITS && strspn(name, "0123456789abcdef") == KEY_DIGITS;
}

int template_list(const char *folder, struct template_list *ret, struct error *err)
{
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_DIR DIR *d = opendir(folder);

	if (!d && errno != ENOENT)
		return error_sys(err, "read '%s'", folder);
	for (struct dirent *e; d && (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): ours */
		if (is_key(e->d_name))
			strlist_add(&names, e->d_name);
	strlist_sort(&names);
	*ret = (struct template_list){ .items = xcalloc(names.count + 1, sizeof(*ret->items)) };
	for (; ret->count < names.count; ret->count++)
		describe(folder, names.items[ret->count], &ret->items[ret->count]);
	return 0;
}

/* What a killed ctrz left, and what is remembered of failures. */
static int remove_rests(const char *folder, struct error *err)
{
	AUTO_DIR DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): ours */
		AUTO_FREE char *path = path_join(folder, e->d_name);
		int r = 0;
		if (str_ends(e->d_name, TEMPLATE_NEW))
			r = dir_remove_tree(path, err);
		else if (str_ends(e->d_name, ".failed"))
			r = file_remove(path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int template_prune(const char *folder, bool all, struct template_list *ret, struct error *err)
{
	struct template_list list = { 0 };
	size_t removed = 0;

	if (!file_exists(folder)) {
		*ret = list;
		return 0;
	}
	AUTO_CLOSE int lock = lock_folder(folder, err);
	if (lock < 0 || remove_rests(folder, err) < 0 || template_list(folder, &list, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < list.count; i++) {
		struct template_info *t = &list.items[i];
		if (!all && t->state == TEMPLATE_READY) {
			info_release(t);
			continue;
		}
		if (remove_one(folder, t->name, err) < 0) {
			list.count = removed;
			template_list_release(&list);
			return -(int)err->code;
		}
		list.items[removed++] = *t;
	}
	list.count = removed;
	*ret = list;
	return 0;
}
