/* SPDX-License-Identifier: MIT */
/* The folder of templates: what is used, and what is not. No machine runs here. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/memory_copy.h"
#include "runtime/machine/template_internal.h"
#include "tests/unit/test.h"

enum { MEMORY = 64 << 20, PAGE = 4096 };

/* A folder with what templates are made from, and one template in "store". */
struct site {
	char root[40];
	char *store, *kernel, *initrd, *qemu, *key, *folder;
	struct keeper_config config;
};

static void write_file(const char *path, const char *text)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, file_write_atomic(path, text, strlen(text), 0600, &err));
}

/* Two pages of memory, a hole's width apart, and a state. */
static void write_files(const struct site *s)
{
	AUTO_FREE char *memory = path_join(s->folder, TEMPLATE_MEMORY);
	AUTO_FREE char *state = path_join(s->folder, TEMPLATE_STATE);
	AUTO_CLOSE int fd = -1;

	fd = open(memory, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, MEMORY), 0);
	assert_int_equal(pwrite(fd, "first", 5, 0), 5);
	assert_int_equal(pwrite(fd, "second", 6, MEMORY - PAGE), 6);
	write_file(state, "the state");
}

static void write_template(const struct site *s)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, dir_make(s->folder, 0700, &err));
	write_files(s);
	assert_ok(err,
		  template_write_record(s->folder, s->key, &s->config, TEMPLATE_MACHINE, &err));
}

static void site_init(struct site *s)
{
	AUTO_ERROR err = ERROR_INIT;

	(void)snprintf(s->root, sizeof(s->root), "/tmp/ctrz-template-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	s->store = path_join(s->root, "store");
	s->kernel = path_join(s->root, "vmlinux");
	s->initrd = path_join(s->root, "initrd");
	s->qemu = path_join(s->root, "qemu");
	write_file(s->kernel, "a kernel");
	write_file(s->initrd, "an initramfs");
	write_file(s->qemu, "a program");
	s->config = (struct keeper_config){ .machine = { .kernel = s->kernel,
							 .initrd = s->initrd,
							 .cpus = 2,
							 .memory_bytes = MEMORY },
					    .qemu = s->qemu };
	assert_ok(err, template_key(&s->config, TEMPLATE_MACHINE, &s->key, &err));
	s->folder = path_join(s->store, s->key);
	assert_ok(err, dir_make(s->store, 0700, &err));
	write_template(s);
}

static void site_release(struct site *s)
{
	AUTO_ERROR err = ERROR_INIT;
	char **all[] = { &s->store, &s->kernel, &s->initrd, &s->qemu, &s->key, &s->folder };

	assert_ok(err, dir_remove_tree(s->root, &err));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		free(*all[i]);
}

static void assert_opens(const struct site *s)
{
	struct template t = TEMPLATE_INIT;
	AUTO_ERROR err = ERROR_INIT;
	char text[10] = "";

	assert_ok(err, template_open(s->store, &s->config, TEMPLATE_MACHINE, &t, &err));
	assert_int_equal(t.memory_bytes, MEMORY);
	assert_int_equal(read(t.state_fd, text, 9), 9);
	assert_string_equal(text, "the state");
	template_close(&t);
}

static void assert_refused(const struct site *s, enum error_code code, const char *why)
{
	struct template t = TEMPLATE_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(template_open(s->store, &s->config, TEMPLATE_MACHINE, &t, &err),
			 -(int)code);
	assert_int_equal(t.memory_fd, -1);
	assert_int_equal(t.state_fd, -1);
	if (!strstr(error_message(&err), why))
		fail_msg("no '%s' in: %s", why, error_message(&err));
}

TEST(a_whole_one_is_used_again_and_again)
{
	struct site s = { 0 };

	site_init(&s);
	assert_opens(&s);
	assert_opens(&s);
	site_release(&s);
}

TEST(another_kernel_program_size_or_argument_is_another_template)
{
	struct site s = { 0 };
	AUTO_FREE char *key = NULL;
	AUTO_ERROR err = ERROR_INIT;
	char args[] = "quiet";
	struct machine_disk disk = { 0 };
	struct machine_nic nic = { .mtu = 1500 };

	site_init(&s);
	s.config.machine.cpus = 1;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.cpus = 2;
	s.config.machine.memory_bytes = 2 * MEMORY;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.memory_bytes = MEMORY;
	s.config.machine.kernel_args = args;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.kernel_args = NULL;
	s.config.machine.share_count = 9;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.share_count = 3;
	assert_opens(&s); /* there is room for three */
	/* What is in the template has to be what the machine has. */
	s.config.machine.disks = &disk;
	s.config.machine.disk_count = 1;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	disk.read_only = true;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.disk_count = 0;
	s.config.machine.nics = &nic;
	s.config.machine.nic_count = 1;
	assert_refused(&s, E_NOT_FOUND, "No such file");
	s.config.machine.nic_count = 0;
	assert_opens(&s);
	write_file(s.initrd, "another initramfs");
	assert_refused(&s, E_NOT_FOUND, "No such file");
	assert_ok(err, template_key(&s.config, TEMPLATE_MACHINE, &key, &err));
	assert_string_not_equal(key, s.key);
	site_release(&s);
}

enum attack {
	CUT_MEMORY,
	GROWN_MEMORY,
	WRITTEN_MEMORY,
	SWAPPED_MEMORY,
	LINKED_MEMORY,
	NO_MEMORY,
	OTHER_STATE,
	CUT_STATE,
	OPEN_STATE,
	LINK_FOR_STATE,
	OPEN_FOLDER,
	NO_RECORD,
	CUT_RECORD,
	OTHERS_RECORD,
	ATTACKS
};

static void replace(const char *path, const char *other)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(other, path), 0);
}

static void attack(const struct site *s, enum attack what)
{
	AUTO_FREE char *memory = path_join(s->folder, TEMPLATE_MEMORY);
	AUTO_FREE char *state = path_join(s->folder, TEMPLATE_STATE);
	AUTO_FREE char *record = path_join(s->folder, TEMPLATE_RECORD);
	AUTO_FREE char *other = path_join(s->root, "other");
	AUTO_CLOSE int fd = open(memory, O_RDWR | O_CLOEXEC);

	switch (what) {
	case CUT_MEMORY:
		assert_int_equal(ftruncate(fd, PAGE), 0);
		break;
	case GROWN_MEMORY:
		assert_int_equal(ftruncate(fd, MEMORY + PAGE), 0);
		break;
	case WRITTEN_MEMORY:
		assert_int_equal(pwrite(fd, "evil", 4, 0), 4);
		break;
	case SWAPPED_MEMORY:
		write_file(other, "first");
		assert_int_equal(truncate(other, MEMORY), 0);
		assert_int_equal(rename(other, memory), 0);
		break;
	case LINKED_MEMORY:
		assert_int_equal(link(memory, other), 0);
		break;
	case NO_MEMORY:
		assert_int_equal(unlink(memory), 0);
		break;
	case OTHER_STATE:
		write_file(state, "the stale");
		break;
	case CUT_STATE:
		assert_int_equal(truncate(state, 3), 0);
		break;
	case OPEN_STATE:
		assert_int_equal(chmod(state, 0644), 0);
		break;
	case LINK_FOR_STATE:
		assert_int_equal(rename(state, other), 0);
		assert_int_equal(symlink(other, state), 0);
		break;
	case OPEN_FOLDER:
		assert_int_equal(chmod(s->folder, 0755), 0);
		break;
	case NO_RECORD:
		replace(record, "/dev/zero");
		break;
	case CUT_RECORD:
		assert_int_equal(truncate(record, 20), 0);
		break;
	case OTHERS_RECORD:
		write_file(record, "{\"key\": \"0000000000000000\"}\n");
		break;
	case ATTACKS:
	default:
		fail();
	}
}

TEST(one_that_somebody_touched_is_not)
{
	for (int what = 0; what < ATTACKS; what++) {
		struct site s = { 0 };
		struct template_list list = { 0 };
		AUTO_ERROR err = ERROR_INIT;

		site_init(&s);
		attack(&s, (enum attack)what);
		assert_refused(&s, E_INTEGRITY, "cannot be used");
		assert_ok(err, template_list(s.store, &list, &err));
		assert_int_equal(list.count, 1);
		assert_int_equal(list.items[0].state, TEMPLATE_BROKEN);
		template_list_release(&list);
		site_release(&s);
	}
}

TEST(one_of_another_user_is_not)
{
	struct site s = { 0 };
	AUTO_FREE char *memory = NULL;

	if (geteuid() != 0)
		skip();
	site_init(&s);
	memory = path_join(s.folder, TEMPLATE_MEMORY);
	assert_int_equal(chown(memory, 1, 1), 0);
	assert_refused(&s, E_INTEGRITY, "no file of ours");
	assert_int_equal(chown(s.folder, 1, 1), 0);
	assert_refused(&s, E_INTEGRITY, "not ours");
	site_release(&s);
}

TEST(pruning_takes_what_is_stale_and_with_all_the_rest)
{
	struct site s = { 0 };
	struct template_list list = { 0 };
	AUTO_FREE char *half = NULL;
	AUTO_ERROR err = ERROR_INIT;

	site_init(&s);
	half = path_join(s.store, "0123456789abcdef.new");
	assert_ok(err, dir_make(half, 0700, &err));
	assert_ok(err, template_prune(s.store, false, &list, &err));
	assert_int_equal(list.count, 0);
	template_list_release(&list);
	assert_false(file_exists(half));
	assert_opens(&s);

	write_file(s.qemu, "a newer program");
	assert_ok(err, template_list(s.store, &list, &err));
	assert_int_equal(list.items[0].state, TEMPLATE_STALE);
	assert_int_equal(list.items[0].cpus, 2);
	assert_int_equal(list.items[0].devices, 8);
	template_list_release(&list);
	assert_ok(err, template_prune(s.store, false, &list, &err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].name, s.key);
	template_list_release(&list);
	assert_false(file_exists(s.folder));

	free(s.key);
	s.key = NULL;
	assert_ok(err, template_key(&s.config, TEMPLATE_MACHINE, &s.key, &err));
	free(s.folder);
	s.folder = path_join(s.store, s.key);
	write_template(&s);
	assert_ok(err, template_prune(s.store, true, &list, &err));
	assert_int_equal(list.count, 1);
	template_list_release(&list);
	assert_false(file_exists(s.folder));
	site_release(&s);
}

/* A machine of an image, whose disk is @lower, with an empty one over it. */
static void with_image(struct site *s, char *lower, char *upper, char *empty)
{
	static char image[] = "image", top[] = "upper";
	static struct machine_disk disks[2];
	static struct setup_disk roles[2];

	disks[0] = (struct machine_disk){ .serial = image, .path = lower, .read_only = true };
	disks[1] = (struct machine_disk){ .serial = top, .path = upper, .empty = empty };
	roles[0] = (struct setup_disk){ .serial = image, .role = DISK_LOWER, .read_only = true };
	roles[1] = (struct setup_disk){ .serial = top, .role = DISK_UPPER };
	s->config.machine.disks = disks;
	s->config.machine.disk_count = 2;
	s->config.machine.setup =
		(struct msg_setup){ .disks = roles, .disk_count = 2, .init = true };
}

TEST(an_image_s_suits_a_usual_container_with_an_empty_disk)
{
	char lower[] = "/l", upper[] = "/u", empty[] = "of 8 GiB", used[] = "";
	struct site s = { 0 };
	struct machine_config *m = &s.config.machine;

	assert_true(template_suits(m, TEMPLATE_MACHINE));
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	with_image(&s, lower, upper, empty);
	assert_true(template_suits(m, TEMPLATE_IMAGE));
	with_image(&s, lower, upper, used);
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	with_image(&s, lower, upper, NULL);
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	bool *const unusual[] = { &m->setup.read_only_root, &m->setup.shows_system_paths };
	for (size_t i = 0; i < ARRAY_SIZE(unusual); i++) {
		with_image(&s, lower, upper, empty);
		*unusual[i] = true;
		assert_false(template_suits(m, TEMPLATE_IMAGE));
	}
	with_image(&s, lower, upper, empty);
	m->setup.init = false;
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	with_image(&s, lower, upper, empty);
	m->setup.limits.shm_bytes = 1 << 20;
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	/* A second image below the root, or another disk in the seat. */
	with_image(&s, lower, upper, empty);
	m->setup.disks[1].role = DISK_LOWER;
	assert_false(template_suits(m, TEMPLATE_IMAGE));
	with_image(&s, lower, upper, empty);
	m->setup.disks[0].serial = lower;
	assert_false(template_suits(m, TEMPLATE_IMAGE));
}

static void make_disk(const char *path, const char *text, off_t size)
{
	write_file(path, text);
	assert_int_equal(truncate(path, size), 0);
}

TEST(an_image_s_goes_with_its_disk_and_fills_the_writable_one)
{
	struct site s = { 0 };
	struct template t = TEMPLATE_INIT;
	struct template_list list = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	char empty[] = "of 64 MiB", text[8] = "";
	struct stat st;

	site_init(&s);
	AUTO_FREE char *lower = path_join(s.root, "lower");
	AUTO_FREE char *upper = path_join(s.root, "upper");
	AUTO_FREE char *key = NULL;
	make_disk(lower, "an image", MEMORY);
	make_disk(upper, "of no use", PAGE);
	with_image(&s, lower, upper, empty);
	assert_ok(err, template_key(&s.config, TEMPLATE_IMAGE, &key, &err));
	AUTO_FREE char *folder = path_join(s.store, key);
	AUTO_FREE char *disk = path_join(folder, TEMPLATE_DISK);
	free(s.folder);
	free(s.key);
	s.folder = TAKE_PTR(folder);
	s.key = TAKE_PTR(key);
	assert_ok(err, dir_make(s.folder, 0700, &err));
	make_disk(disk, "mounted", MEMORY);
	write_files(&s);
	assert_ok(err, template_write_record(s.folder, s.key, &s.config, TEMPLATE_IMAGE, &err));

	assert_ok(err, template_open(s.store, &s.config, TEMPLATE_IMAGE, &t, &err));
	assert_int_equal(t.kind, TEMPLATE_IMAGE);
	assert_string_equal(t.key, s.key);
	assert_ok(err, template_fill_disk(&t, upper, &err));
	assert_int_equal(stat(upper, &st), 0);
	assert_int_equal(st.st_size, MEMORY);
	assert_true(st.st_blocks * 512 <= 16 * PAGE);
	AUTO_CLOSE int fd = open(upper, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, 7), 7);
	assert_string_equal(text, "mounted");
	/* Nowhere to put it: what was there is as it was. */
	AUTO_FREE char *inside = path_join(upper, "upper");
	assert_true(template_fill_disk(&t, inside, &err) < 0);
	error_clear(&err);
	template_close(&t);

	assert_ok(err, template_list(s.store, &list, &err));
	assert_int_equal(list.count, 2);
	for (size_t i = 0; i < list.count; i++)
		if (str_equal(list.items[i].name, s.key)) {
			assert_string_equal(list.items[i].image, lower);
			assert_int_equal(list.items[i].state, TEMPLATE_READY);
		}
	template_list_release(&list);

	/* Another disk of the same layers. */
	make_disk(lower, "an image", MEMORY);
	assert_error(err, E_NOT_FOUND, template_open(s.store, &s.config, TEMPLATE_IMAGE, &t, &err));
	error_clear(&err);
	assert_ok(err, template_prune(s.store, false, &list, &err));
	assert_true(list.count >= 1);
	template_list_release(&list);
	assert_false(file_exists(s.folder));
	site_release(&s);
}

/* QEMU here is a text file: nothing can be booted. */
TEST(what_cannot_be_made_leaves_nothing_and_is_not_tried_again_at_once)
{
	struct site s = { 0 };
	struct template_list list = { 0 };
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *failed = NULL;
	AUTO_ERROR err = ERROR_INIT;

	site_init(&s);
	assert_ok(err, dir_remove_tree(s.folder, &err));
	assert_true(template_ensure(s.store, &s.config, TEMPLATE_MACHINE, &err) < 0);
	why = xstrdup(error_message(&err));
	error_clear(&err);
	assert_ok(err, template_list(s.store, &list, &err));
	assert_int_equal(list.count, 0);
	template_list_release(&list);
	failed = xasprintf("%s.failed", s.folder);
	assert_true(file_exists(failed));
	assert_int_equal(template_ensure(s.store, &s.config, TEMPLATE_MACHINE, &err),
			 -E_UNAVAILABLE);
	assert_string_equal(error_message(&err), why);
	site_release(&s);
}

TEST(a_copy_has_what_is_there_and_holes_for_the_rest)
{
	char path[] = "/tmp/ctrz-copy-XXXXXX", other[] = "/tmp/ctrz-copy-XXXXXX";
	AUTO_CLOSE int from = mkstemp(path);
	AUTO_CLOSE int to = mkstemp(other);
	AUTO_FREE char *zeros = xcalloc(1, 1 << 20);
	AUTO_ERROR err = ERROR_INIT;
	char text[8] = "";
	struct stat st;

	assert_int_equal(unlink(path) | unlink(other), 0);
	assert_int_equal(ftruncate(from, MEMORY) | ftruncate(to, MEMORY), 0);
	assert_int_equal(pwrite(from, zeros, 1 << 20, 1 << 20), 1 << 20);
	assert_int_equal(pwrite(from, "middle", 6, (1 << 20) + 5 * PAGE - 3), 6);
	assert_int_equal(pwrite(from, "end", 3, MEMORY - 3), 3);
	assert_int_equal(memory_copy(from, to, MEMORY, &err), 3 * PAGE);
	assert_int_equal(pread(to, text, 6, (1 << 20) + 5 * PAGE - 3), 6);
	assert_string_equal(text, "middle");
	assert_int_equal(pread(to, text, 3, MEMORY - 3), 3);
	assert_memory_equal(text, "end", 3);
	assert_int_equal(fstat(to, &st), 0);
	assert_true(st.st_blocks * 512 <= 64 * PAGE);

	assert_error(err, E_INTEGRITY, (int)memory_copy(from, to, 2 * MEMORY, &err));
	error_clear(&err);
	AUTO_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(memory_copy(from, full, MEMORY, &err) < 0);
	assert_non_null(strstr(error_message(&err), "No space left"));
}
