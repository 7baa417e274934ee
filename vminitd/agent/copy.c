/* SPDX-License-Identifier: MIT */
/* Copying into and out of the container. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "vminitd/agent/copy.h"
#include "vminitd/protocol/copy.h"

/* No more than a root process of the container has, for what is copied is the container's. */
static int limit_capabilities(struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t low = (uint32_t)CAPABILITIES_DEFAULT,
		 high = (uint32_t)(CAPABILITIES_DEFAULT >> 32);
	struct __user_cap_data_struct sets[2] = { { low, low, 0 }, { high, high, 0 } };

	return syscall(SYS_capset, &head, sets) < 0 ? error_sys(err, "give up capabilities") : 0;
}

static int copy_out(int root, const struct msg_copy *m, struct error *err)
{
	CLEANUP(copy_source_free_p) struct copy_source *source = NULL;
	AUTO_BUFFER out = BUFFER_INIT;
	int r = copy_source_open(root, m->path, m->follows, &source, err);

	bool more = r == 0;
	while (r >= 0 && more) {
		r = copy_source_next(source, &out, err);
		more = r > 0;
		if (r < 0 || (more && out.size < COPY_CHUNK))
			continue;
		r = fd_write_full(STDOUT_FILENO, out.data, out.size, err);
		buffer_clear(&out);
	}
	return r;
}

static int receive(struct frame_decoder *d, struct error *err)
{
	ssize_t n;

	do
		n = frame_decoder_read(d, STDIN_FILENO, COPY_CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_sys(err, "read what is copied");
	if (n == 0)
		return error_set(err, E_INTEGRITY, "the copy broke off");
	return 0;
}

/* Return: 1 if more is to come, 0 at the end, -code */
static int take_frames(struct frame_decoder *d, struct copy_target *target, struct error *err)
{
	struct frame f;
	int r;

	while ((r = frame_decoder_next(d, &f, err)) > 0) {
		r = copy_target_frame(target, &f, err);
		if (r <= 0)
			return r;
	}
	return r < 0 ? r : 1;
}

static int copy_in(int root, const struct msg_copy *m, struct error *err)
{
	struct copy_target_options o = { .root = root,
					 .path = m->path,
					 .name = m->name,
					 .contents = m->contents,
					 .keeps_owner = m->keeps_owner,
					 .mode_mask = m->keeps_owner ? 07777 : 0777 };
	CLEANUP(copy_target_free_p) struct copy_target *target = copy_target_new(&o);
	struct frame_decoder d;
	int r = 1;

	frame_decoder_init(&d, FRAME_SOCKET);
	while (r > 0) {
		r = receive(&d, err);
		if (r == 0)
			r = take_frames(&d, target, err);
	}
	frame_decoder_release(&d);
	return r;
}

void copy_run(const struct msg_copy *m)
{
	AUTO_ERROR err = ERROR_INIT;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? error_sys(&err, "open the container's root") : limit_capabilities(&err);

	if (r == 0)
		r = m->direction == COPY_TO_GUEST ? copy_in(root, m, &err)
						  : copy_out(root, m, &err);
	if (r < 0)
		(void)dprintf(STDERR_FILENO, "%s", error_message(&err));
	_exit(-r);
}
