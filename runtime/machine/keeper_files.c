/* SPDX-License-Identifier: MIT */
/* What a boot sends beside the setup: files, and the filter of system calls. */
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
