/* SPDX-License-Identifier: MIT */
/* What a boot sends beside the setup: files, and the filter of system calls; and what is kept of
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/guest/syscall_filter.h"
#include "runtime/machine/keeper_internal.h"

int keeper_pack_filter(const struct machine_config *m, struct buffer *out, struct error *err)
{
	AUTO_BUFFER program = BUFFER_INIT;

	if (!m->is_filtered)
		return 0;
	int r = syscall_filter_compile(m->capabilities, &program, err);
	struct msg_filter filter = { .program = (uint8_t *)program.data,
				     .program_size = program.size };
	return r < 0 ? r : msg_filter_pack(&filter, out, err);
}

int keeper_send_files(struct keeper *k, struct error *err)
{
	const struct machine_config *m = &k->config.machine;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->file_count; i++)
		r = msg_write_file_add(&k->guest_out, MSG_WRITE_FILE, REQUEST_FILES, &m->files[i],
				       err);
	k->files_left = m->file_count;
	return r;
}

void keeper_file_done(struct keeper *k)
{
	if (k->files_left > 0 && --k->files_left == 0)
		keeper_spawn_main(k);
}

/* boot.log.1 becomes boot.log.2, and so on; the oldest goes. */
static void make_room(const char *folder)
{
	for (unsigned i = MACHINE_BOOT_LOGS; i > 1; i--) {
		AUTO_FREE char *from = xasprintf("%s/boot.log.%u", folder, i - 1);
		AUTO_FREE char *to = xasprintf("%s/boot.log.%u", folder, i);

		if (rename(from, to) < 0 && errno != ENOENT)
			log_warn("keep '%s': %s", from, strerror(errno));
	}
}

static int write_boot_log(const char *folder, const struct msg_kernel_log *m, struct error *err)
{
	AUTO_FREE char *path = xasprintf("%s/boot.log.1", folder);

	make_room(folder);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "create '%s'", path);
	return fd_write_full(fd, m->text, m->text_size, err);
}

void keeper_ask_boot_log(struct keeper *k)
{
	if (!k->has_hello || k->wants_boot_log || k->config.machine.attached)
		return;
	/* Not waited for: if it comes, then before the guest's last word. */
	k->wants_boot_log = true;
	message_add_empty(&k->guest_out, MSG_KERNEL_LOG, REQUEST_BOOT_LOG);
}

void keeper_keep_boot_log(struct keeper *k, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;
	struct msg_kernel_log m = { 0 };

	/* Once for each boot, whatever the guest sends. */
	if (!k->wants_boot_log || f->type != MSG_KERNEL_LOG_REPLY)
		return;
	k->wants_boot_log = false;
	if (msg_kernel_log_unpack(f->payload, f->size, &m, &err) < 0 ||
	    write_boot_log(k->config.machine.state_dir, &m, &err) < 0)
		error_ignore(&err, "keep the kernel's log");
	msg_kernel_log_release(&m);
}
