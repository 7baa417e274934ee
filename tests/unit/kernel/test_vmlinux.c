/* SPDX-License-Identifier: MIT */
/* Kernels out of boot images of every compression, and what a module says about itself. */
#include "base/bytes.h"
#include "base/file.h"
#include "runtime/machine/kernel/module_info.h"
#include "runtime/machine/kernel/vmlinux.h"
#include "tests/unit/test.h"

static void load(const char *name, struct buffer *out)
{
	AUTO_ERROR err = ERROR_INIT;
	char path[512];
	(void)snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	assert_ok(err, file_read(path, 1 << 20, out, &err));
}

TEST(every_compression_gives_the_same_kernel)
{
	static const char *const names[] = {
		"bzimage-gzip", "bzimage-xz",         "bzimage-lzma",
		"bzimage-zstd", "bzimage-lz4-legacy", "bzimage-bzip2"
	};
	AUTO_BUFFER want = BUFFER_INIT;
	load("vmlinux", &want);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER image = BUFFER_INIT;
		AUTO_BUFFER got = BUFFER_INIT;
		char release[KERNEL_RELEASE_MAX + 1];
		load(names[i], &image);
		assert_ok(err,
			  vmlinux_extract(image.data, image.size, names[i], &got, release, &err));
		assert_int_equal(got.size, want.size);
		assert_memory_equal(got.data, want.data, want.size);
		assert_string_equal(release, "6.1.0-t1");
	}
}

TEST(vmlinux_itself_is_taken_as_it_is)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER image = BUFFER_INIT;
	AUTO_BUFFER got = BUFFER_INIT;
	char release[KERNEL_RELEASE_MAX + 1];
	uint64_t entry = 0;
	load("vmlinux", &image);
	assert_ok(err, vmlinux_extract(image.data, image.size, "k", &got, release, &err));
	assert_int_equal(got.size, 0);
	assert_string_equal(release, "6.1.0-t1");
	assert_ok(err, vmlinux_check(image.data, image.size, &entry, &err));
	assert_int_equal(entry, 0x1000000);
}

TEST(unusable_kernels_say_why)
{
	static const struct {
		const char *name, *says;
		enum error_code code;
	} cases[] = {
		{ "vmlinux-without-pvh", "CONFIG_PVH", E_INVALID },
		{ "bzimage-payload-out-of-bounds", "cut short", E_INVALID },
		{ "bzimage-stored", "no known compression", E_INVALID },
		{ "module.ko", "no PVH entry", E_INVALID },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER image = BUFFER_INIT;
		AUTO_BUFFER got = BUFFER_INIT;
		char release[KERNEL_RELEASE_MAX + 1];
		load(cases[i].name, &image);
		assert_int_equal(vmlinux_extract(image.data, image.size, "k", &got, release, &err),
				 -(int)cases[i].code);
		assert_non_null(strstr(error_message(&err), cases[i].says));
	}
}

/* Cut at every length: never read beyond the end (the sanitizers watch), never taken for good. */
TEST(cut_images_are_refused)
{
	AUTO_BUFFER image = BUFFER_INIT;
	load("bzimage-gzip", &image);
	for (size_t n = 0; n < image.size; n++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER got = BUFFER_INIT;
		char release[KERNEL_RELEASE_MAX + 1];
		void *copy = malloc(n ? n : 1);
		memcpy(copy, image.data, n);
		assert_true(vmlinux_extract(copy, n, "k", &got, release, &err) < 0);
		free(copy);
	}
}

TEST(damaged_payload_is_an_integrity_error)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER image = BUFFER_INIT;
	AUTO_BUFFER got = BUFFER_INIT;
	char release[KERNEL_RELEASE_MAX + 1];
	load("bzimage-xz", &image);
	image.data[image.size - 40] ^= 0x55;
	assert_error(err, E_INTEGRITY,
		     vmlinux_extract(image.data, image.size, "k", &got, release, &err));
}

TEST(odd_releases_are_not_taken)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER image = BUFFER_INIT;
	struct bzimage parsed;
	load("bzimage-gzip", &image);
	memcpy(image.data + 0x500, "../../etc x", 12);
	assert_ok(err, bzimage_parse(image.data, image.size, &parsed, &err));
	assert_string_equal(parsed.release, "");
	memset(image.data + 0x500, 'a', KERNEL_RELEASE_MAX + 1);
	assert_ok(err, bzimage_parse(image.data, image.size, &parsed, &err));
	assert_string_equal(parsed.release, "");
}

TEST(module_names_its_dependencies)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER module = BUFFER_INIT;
	struct module_info info;
	load("module.ko", &module);
	assert_ok(err, module_info_parse(module.data, module.size, &info, &err));
	assert_int_equal(info.depends.count, 2);
	assert_string_equal(info.depends.items[0], "virtio_ring");
	assert_string_equal(info.depends.items[1], "net_failover");
	assert_int_equal(info.wishes.count, 2);
	assert_string_equal(info.wishes.items[1], "libx");
	module_info_release(&info);
	for (size_t n = 0; n < module.size; n++) {
		void *copy = malloc(n ? n : 1);
		memcpy(copy, module.data, n);
		assert_error(err, E_INVALID, module_info_parse(copy, n, &info, &err));
		free(copy);
	}
}
