/* SPDX-License-Identifier: MIT */
/* The store of kernels: packages and files in, a default out, initramfs kept up to date, nothing
 * half done. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/machine/kernel/initramfs.h"
#include "runtime/machine/kernel_store.h"
#include "tests/unit/test.h"

static const char *vminitd = "agent one";

const void *vminitd_image(size_t *ret_size)
{
	*ret_size = strlen(vminitd);
	return vminitd;
}

struct fixture {
	char *root;
	struct host_paths paths;
};

static struct fixture fixture_open(void)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = { .root = xstrdup("/tmp/ksXXXXXX") };
	assert_non_null(mkdtemp(f.root));
	(void)setenv("CTRZ_HOME", f.root, 1);
	assert_ok(err, host_paths_init(&f.paths, &err));
	assert_ok(err, host_paths_make(&f.paths, &err));
	return f;
}

static void fixture_close(struct fixture *f)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, dir_remove_tree(f->root, &err));
	host_paths_release(&f->paths);
	free(f->root);
}

static void put(const struct fixture *f, const char *path, const void *data, size_t size)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *full = path_join(f->root, path);
	AUTO_FREE char *dir = path_dirname(full);
	assert_ok(err, dir_make(dir, 0755, &err));
	assert_ok(err, file_write_atomic(full, data, size, 0644, &err));
}

static void put_sample(const struct fixture *f, const char *path, const char *sample)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER data = BUFFER_INIT;
	AUTO_FREE char *from = path_join(CORPUS, sample);
	assert_ok(err, file_read(from, 1 << 20, &data, &err));
	put(f, path, data.data, data.size);
}

static const char builtin[] =
	"kernel/a/virtio_pci.ko\nkernel/a/virtio_console.ko\nkernel/a/virtio_blk.ko\n"
	"kernel/a/ext4.ko\nkernel/a/virtio_net.ko\nkernel/a/virtiofs.ko\n"
	"kernel/a/virtio_ring.ko\nkernel/a/net_failover.ko\n";

/* A package with a kernel, overlay as its only module, and a file that tries to leave the tree by
 * its size only. */
static char *build_package(const struct fixture *f, const char *builtin_list)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *tree = path_join(f->root, "tree");
	char *deb = path_join(f->root, "kernel.deb");
	static const char control[] = "Package: k\nVersion: 1\nArchitecture: all\n"
				      "Maintainer: a <a@b>\nDescription: d\n";
	put(f, "tree/DEBIAN/control", control, sizeof(control) - 1);
	put_sample(f, "tree/boot/vmlinuz-6.1.0-t1", "bzimage-gzip");
	put_sample(f, "tree/lib/modules/6.1.0-t1/kernel/fs/overlay.ko", "module.ko");
	put(f, "tree/lib/modules/6.1.0-t1/modules.builtin", builtin_list, strlen(builtin_list));
	const char *const argv[] = { "dpkg-deb", "--root-owner-group", "-b", tree, deb, NULL };
	assert_ok(err, process_run(argv, NULL, 1 << 16, &err));
	return deb;
}

static size_t count_entries(const char *dir)
{
	AUTO_DIR DIR *d = opendir(dir);
	size_t n = 0;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	return n;
}

TEST(package_becomes_the_default_kernel)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	struct kernel k = { 0 }, chosen = { 0 };
	AUTO_BUFFER initrd = BUFFER_INIT;
	struct stat st;
	AUTO_FREE char *deb = build_package(&f, builtin);
	assert_error(err, E_NOT_FOUND, kernel_store_default(&f.paths, &chosen, &err));
	assert_ok(err, kernel_store_install(&f.paths, deb, NULL, &k, &err));
	assert_string_equal(k.name, "debian-6.1.0-t1");
	assert_string_equal(k.release, "6.1.0-t1");
	assert_true(k.is_default);
	assert_int_equal(stat(k.vmlinux, &st), 0);
	assert_int_equal(st.st_size, k.size_bytes);
	assert_ok(err, kernel_store_default(&f.paths, &chosen, &err));
	assert_string_equal(chosen.initrd, k.initrd);
	assert_ok(err, file_read(k.initrd, 1 << 20, &initrd, &err));
	assert_int_equal(memcmp(initrd.data, "070701", 6), 0);
	assert_non_null(memmem(initrd.data, initrd.size, "modules/000-overlay.ko", 23));
	assert_non_null(memmem(initrd.data, initrd.size, vminitd, strlen(vminitd)));
	kernel_release(&k);
	kernel_release(&chosen);
	fixture_close(&f);
}

TEST(initramfs_follows_vminitd)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	struct kernel before = { 0 }, after = { 0 };
	AUTO_BUFFER first = BUFFER_INIT;
	AUTO_BUFFER again = BUFFER_INIT;
	AUTO_BUFFER changed = BUFFER_INIT;
	put_sample(&f, "vmlinux", "vmlinux");
	AUTO_FREE char *path = path_join(f.root, "vmlinux");
	assert_ok(err, kernel_store_install(&f.paths, path, NULL, &before, &err));
	assert_ok(err, file_read(before.initrd, 1 << 20, &first, &err));
	assert_int_equal(unlink(before.initrd), 0);
	assert_ok(err, kernel_store_default(&f.paths, &after, &err));
	assert_ok(err, file_read(after.initrd, 1 << 20, &again, &err));
	assert_int_equal(first.size, again.size);
	assert_memory_equal(first.data, again.data, first.size);
	kernel_release(&after);
	vminitd = "agent two";
	assert_ok(err, kernel_store_default(&f.paths, &after, &err));
	assert_string_not_equal(after.initrd, before.initrd);
	assert_ok(err, file_read(after.initrd, 1 << 20, &changed, &err));
	assert_non_null(memmem(changed.data, changed.size, vminitd, strlen(vminitd)));
	vminitd = "agent one";
	kernel_release(&before);
	kernel_release(&after);
	fixture_close(&f);
}

TEST(use_and_remove)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	struct kernel k = { 0 };
	struct kernel_list l = { 0 };
	put_sample(&f, "vmlinux", "vmlinux");
	AUTO_FREE char *path = path_join(f.root, "vmlinux");
	AUTO_FREE char *deb = build_package(&f, builtin);
	assert_ok(err, kernel_store_install(&f.paths, deb, NULL, &k, &err));
	kernel_release(&k);
	assert_ok(err, kernel_store_install(&f.paths, path, NULL, &k, &err));
	assert_string_equal(k.name, "file-6.1.0-t1");
	assert_false(k.is_default);
	kernel_release(&k);
	assert_ok(err, kernel_store_use(&f.paths, "file-6.1.0-t1", &err));
	assert_ok(err, kernel_store_list(&f.paths, &l, &err));
	assert_int_equal(l.count, 2);
	assert_string_equal(l.items[0].name, "debian-6.1.0-t1");
	assert_false(l.items[0].is_default);
	assert_true(l.items[1].is_default);
	kernel_list_release(&l);
	assert_error(err, E_NOT_FOUND, kernel_store_use(&f.paths, "nope", &err));
	assert_error(err, E_INVALID, kernel_store_remove(&f.paths, "../kernels", &err));
	assert_error(err, E_INVALID, kernel_store_remove(&f.paths, ".", &err));
	assert_ok(err, kernel_store_remove(&f.paths, "file-6.1.0-t1", &err));
	assert_error(err, E_NOT_FOUND, kernel_store_default(&f.paths, &k, &err));
	assert_ok(err, kernel_store_list(&f.paths, &l, &err));
	assert_int_equal(l.count, 1);
	kernel_list_release(&l);
	fixture_close(&f);
}

TEST(installing_again_replaces)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	AUTO_FREE char *deb = build_package(&f, builtin);
	AUTO_FREE char *store = path_join(f.paths.data, "kernels");
	for (int i = 0; i < 2; i++) {
		struct kernel k = { 0 };
		assert_ok(err, kernel_store_install(&f.paths, deb, NULL, &k, &err));
		kernel_release(&k);
	}
	assert_int_equal(count_entries(store), 3); /* the lock, the default, the kernel */
	fixture_close(&f);
}

TEST(failures_leave_nothing)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	struct kernel k = { 0 };
	AUTO_FREE char *store = path_join(f.paths.data, "kernels");
	AUTO_FREE char *missing = path_join(f.root, "missing");
	AUTO_FREE char *text = path_join(f.root, "text");
	AUTO_FREE char *fake = path_join(f.root, "fake.deb");
	AUTO_FREE char *deb = build_package(&f, "kernel/a/virtio_pci.ko\n");
	put(&f, "text", "hello", 5);
	put(&f, "fake.deb", "hello", 5);
	assert_error(err, E_NOT_FOUND, kernel_store_install(&f.paths, missing, NULL, &k, &err));
	assert_error(err, E_INVALID, kernel_store_install(&f.paths, text, NULL, &k, &err));
	assert_error(err, E_INVALID, kernel_store_install(&f.paths, fake, NULL, &k, &err));
	assert_int_equal(kernel_store_install(&f.paths, deb, NULL, &k, &err), -E_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "virtio_console"));
	error_clear(&err);
	assert_int_equal(count_entries(store), 1); /* the lock */
	fixture_close(&f);
}

TEST(interrupted_installation_is_swept)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	AUTO_FREE char *left = path_join(f.root, "data/kernels/.install-abc/unpacked");
	AUTO_FREE char *store = path_join(f.paths.data, "kernels");
	assert_ok(err, dir_make(left, 0700, &err));
	assert_error(err, E_NOT_FOUND, kernel_store_use(&f.paths, "nope", &err));
	assert_int_equal(count_entries(store), 1);
	fixture_close(&f);
}
