/* SPDX-License-Identifier: MIT */
/* The container's tree: mounts below ROOT_PATH. */
/*
 * DOC: Theory of Operation
 *
 * File systems are first mounted outside of the container's root (a "stage": /c/lower0, /c/upper,
 * /c/disk-SERIAL, /c/share-TAG) and then bound into it, so that a folder or a single file of one
 * can be what the container sees. ROOT_PATH is a shared mount and the container's own copy of it a
 * slave: what is mounted here later appears in there too. Targets come from outside and the tree
 * from an image: each is resolved inside of the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

/* <linux/ext4.h>, which older headers do not have. */
#ifndef EXT4_IOC_RESIZE_FS
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
#endif

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "vminitd/agent/dev.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/inroot.h"
#include "vminitd/agent/network.h"
#include "vminitd/agent/phases.h"
#include "vminitd/agent/root.h"
#include "vminitd/agent/syscalls.h"

static char *share_stage(const struct setup_share *s)
{
	return xasprintf("/c/share-%s", s->tag);
}

static int check_name(const char *name, const char *what, struct error *err)
{
	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
		return error_set(err, E_INVALID, "%s '%s' is not a plain name", what, name);
	return 0;
}

/* Mount a file system outside of the root. Return: 0, or -code with errno of mount() in
 * err->sys_errno */
static int mount_stage(struct root *r, const char *source, const char *stage, const char *fstype,
		       unsigned long flags, const char *options, struct error *err)
{
	int n = dir_make(stage, 0755, err);

	if (n < 0)
		return n;
	if (mount(source, stage, fstype, flags, options) < 0)
		return error_sys(err, "mount %s '%s'", fstype, source);
	strlist_add(&r->stages, stage);
	return 0;
}

/* The share's file system, where it is there. Return: 1 mounted, 0 not there yet, -code */
static int stage_share(struct root *r, const struct setup_share *s, struct error *err)
{
	AUTO_FREE char *stage = share_stage(s);
	AUTO_ERROR why = ERROR_INIT;
	int n = check_name(s->tag, "share tag", err);

	if (n < 0)
		return n;
	if (strlist_has(&r->stages, stage))
		return 1;
	/* Read-only is a matter of the bind mount: a tag may be seen at two places. The host
	 * enforces its own. */
	if (mount_stage(r, s->tag, stage, "virtiofs", 0, NULL, &why) == 0)
		return 1;
	/* An unknown tag is EINVAL: the device may still be on its way. */
	return why.sys_errno == EINVAL ? 0 : error_move(err, &why);
}

int root_ready(struct root *r, const struct msg_setup *s, struct buffer *missing, struct error *err)
{
	char path[DEVICE_PATH_MAX];

	/* With a root, it stands on those of its image. */
	for (size_t i = 0; i < s->disk_count; i++)
		if ((r->fd < 0 || s->disks[i].role == DISK_VOLUME) &&
		    !device_disk(s->disks[i].serial, s->disks[i].size_bytes, path))
			buffer_printf(missing, " disk '%s'", s->disks[i].serial);
	for (size_t i = 0; i < s->nic_count; i++) {
		const uint8_t *m = s->nics[i].mac;
		if (!network_has_nic(&s->nics[i]))
			buffer_printf(missing, " NIC %02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
				      m[2], m[3], m[4], m[5]);
	}
	for (size_t i = 0; i < s->share_count; i++) {
		int n = stage_share(r, &s->shares[i], err);
		if (n < 0)
			return n;
		if (n == 0)
			buffer_printf(missing, " share '%s'", s->shares[i].tag);
	}
	return missing->size == 0;
}

/* Let the ext4 that is mounted on @stage fill its disk; nothing to do is fine. */
static int grow(const char *stage, const char *disk, struct error *err)
{
	enum { EXT4_BLOCK_BYTES = 4096 };
	AUTO_CLOSE int device = open(disk, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int top = open(stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t bytes = 0;

	if (device < 0 || top < 0 || sys_ioctl(device, BLKGETSIZE64, &bytes) < 0)
		return error_sys(err, "look at the size of '%s'", disk);
	uint64_t blocks = bytes / EXT4_BLOCK_BYTES;
	if (sys_ioctl(top, EXT4_IOC_RESIZE_FS, &blocks) < 0)
		return error_sys(err, "grow the file system on '%s'", disk);
	return 0;
}

static unsigned bind_flags(bool read_only, uint32_t flags)
{
	return (read_only ? BIND_READ_ONLY : 0) | (flags & SETUP_NO_EXEC ? BIND_NO_EXEC : 0) |
	       (flags & SETUP_WITH_SUID ? 0 : BIND_NO_SUID) |
	       (flags & SETUP_WITH_DEVICES ? 0 : BIND_NO_DEV);
}

static int mount_disk(struct root *r, const struct setup_disk *d, const char *stage,
		      struct error *err)
{
	char path[DEVICE_PATH_MAX];
	bool read_only = d->read_only || d->role == DISK_LOWER;

	if (!device_disk(d->serial, d->size_bytes, path))
		return error_set(err, E_NOT_FOUND, "there is no disk with serial '%s'", d->serial);
	unsigned long flags = MS_NOATIME | (read_only ? MS_RDONLY : 0);
	const char *fstype = d->fstype[0] ? d->fstype : "ext4";
	int n = mount_stage(r, path, stage, fstype, flags, NULL, err);
	/* A journal that a killed machine left cannot be replayed on a read-only disk. */
	if (n < 0 && err->sys_errno == EROFS && d->role == DISK_VOLUME && read_only) {
		error_clear(err);
		n = mount_stage(r, path, stage, fstype, flags, "noload", err);
	}
	if (n == 0 && d->role == DISK_VOLUME && !read_only) {
		AUTO_ERROR why = ERROR_INIT;
		if (grow(stage, path, &why) < 0)
			error_ignore(&why, "let a volume fill its disk");
	}
	return n < 0 ? error_wrap(err, "disk '%s'", d->serial) : 0;
}

static int mount_layers(struct root *r, const struct msg_setup *s, struct buffer *lower,
			struct error *err)
{
	int n = 0;

	for (size_t i = s->disk_count; n == 0 && i-- > 0;) {
		const struct setup_disk *d = &s->disks[i];
		AUTO_FREE char *stage =
			d->role == DISK_UPPER ? xstrdup("/c/upper") : xasprintf("/c/lower%zu", i);
		if (d->role == DISK_VOLUME)
			continue;
		n = mount_disk(r, d, stage, err);
		/* The first in overlayfs's list is the topmost, the first of ours the lowest. */
		if (n == 0 && d->role == DISK_LOWER)
			buffer_printf(lower, "%s%s", lower->size ? ":" : "", stage);
		else if (n == 0)
			r->upper_stage = TAKE_PTR(stage);
	}
	if (n == 0 && lower->size == 0)
		n = error_set(err, E_INVALID, "the setup names no lower disk");
	if (n == 0 && !r->upper_stage) {
		n = mount_stage(r, "upper", "/c/upper", "tmpfs", 0, "mode=755", err);
		r->upper_stage = xstrdup("/c/upper");
	}
	return n;
}

static int mount_overlay(struct root *r, const char *lower, struct error *err)
{
	AUTO_FREE char *upper = path_join(r->upper_stage, "upper");
	AUTO_FREE char *work = path_join(r->upper_stage, "work");
	AUTO_FREE char *options =
		xasprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
	/* With it a folder of the image can be renamed without a copy. */
	AUTO_FREE char *redirect = xasprintf("%s,redirect_dir=on", options);
	int n = dir_make(upper, 0755, err);

	if (n == 0)
		n = dir_make(work, 0700, err);
	if (n == 0)
		n = dir_make(ROOT_PATH, 0755, err);
	if (n < 0)
		return n;
	if (mount("overlay", ROOT_PATH, "overlay", 0, redirect) < 0 &&
	    mount("overlay", ROOT_PATH, "overlay", 0, options) < 0)
		return error_sys(err, "mount the container's root as an overlay");
	strlist_add(&r->stages, ROOT_PATH);
	r->fd = open(ROOT_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->fd < 0 ? error_sys(err, "open the container's root") : 0;
}

static void add_mount(struct root *r, char *target, char *stage)
{
	GROW_ARRAY(r->mounts, r->mount_count, r->mount_room);
	r->mounts[r->mount_count++] = (struct root_mount){ target, stage };
}

static struct root_mount *find_mount(struct root *r, const char *target)
{
	for (size_t i = r->mount_count; i-- > 0;)
		if (str_equal(r->mounts[i].target, target))
			return &r->mounts[i];
	return NULL;
}

bool root_has_mount_below(const struct root *r, const char *folder)
{
	for (size_t i = 0; i < r->mount_count; i++)
		if (path_is_below(r->mounts[i].target, folder))
			return true;
	return false;
}

/* Bind @source (an O_PATH descriptor) onto @target inside the root. */
static int bind(struct root *r, int source, const char *target, unsigned flags, struct error *err)
{
	struct stat st;
	AUTO_CLOSE int tree = sys_clone_tree(source, "");

	if (tree < 0 || fstat(source, &st) < 0)
		return error_sys(err, "bind '%s'", target);
	AUTO_CLOSE int at = S_ISDIR(st.st_mode) ? inroot_make_dir(r->fd, target, 0755, NULL, err)
						: inroot_make_file(r->fd, target, err);
	if (at < 0)
		return at;
	if (sys_set_mount_flags(tree, flags) < 0 || sys_attach_tree(tree, at) < 0)
		return error_sys(err, "mount on '%s' in the container", target);
	return 0;
}

/* A fresh folder of a volume looks like what it covers in the image, as people expect of volumes.
 */
static void copy_ownership(struct root *r, int folder, const char *target)
{
	AUTO_CLOSE int at = sys_open_in_root(r->fd, target, O_PATH | O_DIRECTORY, 0);
	char path[DEVICE_PATH_MAX];
	struct stat st;

	if (at < 0 || fstat(at, &st) < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", folder);
	if (chown(path, st.st_uid, st.st_gid) == 0)
		(void)chmod(path, st.st_mode & 07777);
}

int root_add_disk(struct root *r, const struct setup_disk *d, struct error *err)
{
	AUTO_FREE char *target = path_clean(d->target);
	AUTO_FREE char *stage = xasprintf("/c/disk-%s", d->serial);
	int n = check_name(d->serial, "disk serial", err);

	if (n == 0 && find_mount(r, target))
		n = error_set(err, E_EXISTS, "something is mounted on '%s' already", target);
	if (n == 0 && !strlist_has(&r->stages, stage))
		n = mount_disk(r, d, stage, err);
	if (n < 0)
		return n;
	bool made = false;
	AUTO_CLOSE int top = open(stage, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return error_sys(err, "open volume '%s'", d->serial);
	AUTO_CLOSE int folder =
		inroot_make_dir(top, d->subpath[0] ? d->subpath : "/", 0755, &made, err);
	if (folder < 0)
		return folder;
	if (made)
		copy_ownership(r, folder, target);
	n = bind(r, folder, target, bind_flags(d->read_only, d->flags), err);
	if (n == 0)
		add_mount(r, TAKE_PTR(target), TAKE_PTR(stage));
	return n;
}

int root_add_share(struct root *r, const struct setup_share *s, struct error *err)
{
	AUTO_FREE char *target = path_clean(s->target);
	AUTO_FREE char *stage = share_stage(s);

	if (find_mount(r, target))
		return error_set(err, E_EXISTS, "something is mounted on '%s' already", target);
	int n = stage_share(r, s, err);
	if (n == 0)
		return error_set(err, E_NOT_FOUND, "there is no share with tag '%s'", s->tag);
	if (n > 0 && s->file_name[0])
		n = check_name(s->file_name, "file name", err);
	if (n < 0)
		return n;
	AUTO_CLOSE int top = open(stage, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int file = -1;
	if (top >= 0 && s->file_name[0])
		file = openat(top, s->file_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0 || (s->file_name[0] && file < 0))
		return error_sys(err, "open share '%s'", s->tag);
	n = bind(r, file >= 0 ? file : top, target, bind_flags(s->read_only, s->flags), err);
	if (n == 0)
		add_mount(r, TAKE_PTR(target), TAKE_PTR(stage));
	return n;
}

int root_add_socket(struct root *r, int file, const char *target, struct error *err)
{
	if (find_mount(r, target))
		return error_set(err, E_EXISTS, "something is mounted on '%s' already", target);
	int n = bind(r, file, target, bind_flags(false, 0), err);
	if (n == 0)
		add_mount(r, xstrdup(target), NULL);
	return n;
}

int root_grow_disk(struct root *r, const struct setup_disk *d, struct error *err)
{
	AUTO_FREE char *stage = xasprintf("/c/disk-%s", d->serial);
	char path[DEVICE_PATH_MAX];

	if (!strlist_has(&r->stages, stage))
		return error_set(err, E_INVALID, "disk '%s' is not mounted", d->serial);
	if (!device_disk(d->serial, d->size_bytes, path))
		return error_set(err, E_NOT_FOUND, "disk '%s' has not grown yet", d->serial);
	return grow(stage, path, err);
}

static unsigned long tmpfs_flags(const struct setup_tmpfs *t)
{
	return (t->read_only ? MS_RDONLY : 0) | (t->flags & SETUP_NO_EXEC ? MS_NOEXEC : 0) |
	       (t->flags & SETUP_WITH_SUID ? 0 : MS_NOSUID) |
	       (t->flags & SETUP_WITH_DEVICES ? 0 : MS_NODEV);
}

int root_add_tmpfs(struct root *r, const struct setup_tmpfs *t, struct error *err)
{
	AUTO_FREE char *target = path_clean(t->target);
	AUTO_FREE char *options = xasprintf("mode=%o", t->mode ? t->mode & 07777 : 01777);
	char path[DEVICE_PATH_MAX];

	if (find_mount(r, target))
		return error_set(err, E_EXISTS, "something is mounted on '%s' already", target);
	AUTO_CLOSE int at = inroot_make_dir(r->fd, target, 0755, NULL, err);
	if (at < 0)
		return at;
	if (t->size_bytes > 0) {
		char *sized = xasprintf("%s,size=%llu", options, (unsigned long long)t->size_bytes);
		free(options);
		options = sized;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	if (mount("tmpfs", path, "tmpfs", tmpfs_flags(t), options) < 0)
		return error_sys(err, "mount a tmpfs on '%s' in the container", target);
	add_mount(r, TAKE_PTR(target), NULL);
	return 0;
}

/* One mount of the setup, of whichever kind. */
struct wanted {
	char *target; /* owned; cleaned */
	const struct setup_disk *disk;
	const struct setup_share *share;
	const struct setup_tmpfs *tmpfs;
};

/* A target comes before what lies below it: its clean path is a prefix. */
static int by_target(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return strcmp(x->target, y->target);
}

static int add_wanted(struct root *r, const struct wanted *w, struct error *err)
{
	if (w->disk)
		return root_add_disk(r, w->disk, err);
	return w->share ? root_add_share(r, w->share, err) : root_add_tmpfs(r, w->tmpfs, err);
}

static int mount_wanted(struct root *r, const struct msg_setup *s, struct error *err)
{
	size_t count = 0, room = s->disk_count + s->share_count + s->tmpfs_count;
	struct wanted *list = xcalloc(room, sizeof(*list));
	int n = 0;

	for (size_t i = 0; i < s->disk_count; i++)
		if (s->disks[i].role == DISK_VOLUME)
			list[count++] = (struct wanted){ .target = path_clean(s->disks[i].target),
							 .disk = &s->disks[i] };
	for (size_t i = 0; i < s->share_count; i++)
		list[count++] = (struct wanted){ .target = path_clean(s->shares[i].target),
						 .share = &s->shares[i] };
	for (size_t i = 0; i < s->tmpfs_count; i++)
		list[count++] = (struct wanted){ .target = path_clean(s->tmpfs[i].target),
						 .tmpfs = &s->tmpfs[i] };
	qsort(list, count, sizeof(*list), by_target);
	for (size_t i = 0; i < count; i++) {
		if (n == 0)
			n = add_wanted(r, &list[i], err);
		free(list[i].target);
	}
	free(list);
	return n;
}

/* Not among r->mounts: nobody takes these down alone. They go with the root. */
static int mount_dev(struct root *r, const struct msg_setup *s, struct error *err)
{
	static const char shm[] = "/dev/shm";
	int n = dev_make(r->fd, err);

	for (size_t i = 0; n == 0 && i < s->tmpfs_count; i++) {
		AUTO_FREE char *target = path_clean(s->tmpfs[i].target);
		if (str_equal(target, shm))
			return 0;
	}
	return n < 0 ? n : dev_make_shm(r->fd, s->limits.shm_bytes, err);
}

static int mount_root(struct root *r, const struct msg_setup *s, struct error *err)
{
	AUTO_BUFFER lower = BUFFER_INIT;
	int n = phase_after("mount the disks", mount_layers(r, s, &lower, err));

	if (n == 0)
		n = phase_after("overlay", mount_overlay(r, buffer_str(&lower), err));
	return n < 0 ? n : phase_after("/dev", mount_dev(r, s, err));
}

int root_build(struct root *r, const struct msg_setup *s, struct error *err)
{
	int n = 0;

	if (r->fd < 0)
		n = mount_root(r, s, err);
	if (n == 0)
		n = phase_after("volumes and shares", mount_wanted(r, s, err));
	return n;
}

/* Where @target really is, in the agent's own view; owned, NULL with errno set. */
static char *real_path(struct root *r, const char *target)
{
	char link[DEVICE_PATH_MAX], path[4096];
	AUTO_CLOSE int at = sys_open_in_root(r->fd, target, O_PATH, 0);

	if (at < 0)
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	return n < 0 ? NULL : xstrndup(path, (size_t)n);
}

static int drop_stage(struct root *r, const char *stage, struct error *err)
{
	for (size_t i = 0; i < r->mount_count; i++)
		if (str_equal(r->mounts[i].stage, stage))
			return 0;
	/* The disk or share goes next: nothing may hold it by then. */
	if (umount2(stage, 0) < 0)
		return errno == EBUSY ? error_set(err, E_CONFLICT, "'%s' is in use", stage)
				      : error_sys(err, "unmount '%s'", stage);
	for (size_t i = 0; i < r->stages.count; i++) {
		if (!str_equal(r->stages.items[i], stage))
			continue;
		free(r->stages.items[i]);
		/* The NULL behind the last moves down with the rest. */
		memmove(&r->stages.items[i], &r->stages.items[i + 1],
			(r->stages.count - i) * sizeof(char *));
		r->stages.count--;
		break;
	}
	return 0;
}

int root_detach(struct root *r, const char *target, struct error *err)
{
	AUTO_FREE char *clean = path_clean(target);
	struct root_mount *m = find_mount(r, clean);

	if (!m)
		return error_set(err, E_NOT_FOUND, "nothing of ours is mounted on '%s'", clean);
	AUTO_FREE char *path = real_path(r, clean);
	if (!path || umount2(path, UMOUNT_NOFOLLOW) < 0) {
		if (path && errno == EBUSY)
			return error_set(err, E_CONFLICT, "'%s' is in use in the container", clean);
		return error_sys(err, "unmount '%s'", clean);
	}
	struct root_mount gone = *m;
	size_t i = (size_t)(m - r->mounts);
	memmove(m, m + 1, (r->mount_count - i - 1) * sizeof(*m));
	r->mount_count--;
	int n = gone.stage ? drop_stage(r, gone.stage, err) : 0;
	free(gone.stage);
	free(gone.target);
	return n;
}

static uint64_t trim(const char *path)
{
	struct fstrim_range range = { .len = UINT64_MAX };
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && sys_ioctl(fd, FITRIM, &range) == 0 ? range.len : 0;
}

/* Whether a stage is a disk that can be written. */
static bool is_disk(const struct root *r, const char *stage)
{
	return str_equal(stage, r->upper_stage) || str_starts(stage, "/c/disk-");
}

uint64_t root_trim(struct root *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->stages.count; i++)
		if (is_disk(r, r->stages.items[i]))
			bytes += trim(r->stages.items[i]);
	return bytes;
}

/* What cannot be frozen (a tmpfs) or is mounted read-only has nothing to lose. */
static int set_frozen(const char *stage, bool is_frozen)
{
	AUTO_CLOSE int fd = open(stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -1 : sys_ioctl(fd, is_frozen ? FIFREEZE : FITHAW, NULL);

	return r < 0 && (errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL) ? 0 : r;
}

void root_thaw(struct root *r)
{
	for (size_t i = r->stages.count; i-- > 0;)
		if (is_disk(r, r->stages.items[i]))
			(void)set_frozen(r->stages.items[i], false);
}

int root_freeze(struct root *r, struct error *err)
{
	for (size_t i = 0; i < r->stages.count; i++) {
		const char *stage = r->stages.items[i];

		if (!is_disk(r, stage) || set_frozen(stage, true) == 0)
			continue;
		int n = error_sys(err, "freeze '%s'", stage);
		root_thaw(r);
		return n;
	}
	return 0;
}

int root_sync(struct root *r, struct error *err)
{
	for (size_t i = 0; i < r->stages.count; i++) {
		const char *stage = r->stages.items[i];
		AUTO_CLOSE int fd = -1;

		if (!is_disk(r, stage))
			continue;
		fd = open(stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || syncfs(fd) < 0)
			return error_sys(err, "sync '%s'", stage);
	}
	return 0;
}

unsigned root_unmount(struct root *r)
{
	unsigned stuck = 0;

	while (r->mount_count > 0) {
		struct root_mount *m = &r->mounts[--r->mount_count];
		AUTO_FREE char *path = real_path(r, m->target);
		if (path && umount2(path, UMOUNT_NOFOLLOW) < 0)
			(void)umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH);
		free(m->target);
		free(m->stage);
	}
	if (r->fd >= 0)
		(void)close(take_fd(&r->fd));
	while (r->stages.count > 0) {
		char *stage = r->stages.items[--r->stages.count];
		if (!str_starts(stage, "/c/share-") && umount2(stage, 0) < 0) {
			stuck++;
			(void)umount2(stage, MNT_DETACH);
		}
		free(stage);
		r->stages.items[r->stages.count] = NULL;
	}
	return stuck;
}
