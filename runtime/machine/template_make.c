/* SPDX-License-Identifier: MIT */
/* Making a template: a machine is booted as any other, in its jail but with placeholders for a
 * container's devices, and saved when its agent has spoken. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/keeper_vm.h"
#include "runtime/machine/memory_copy.h"
#include "runtime/machine/template_internal.h"
#include "vminitd/protocol/message.h"

/* What the kernel put off until after its devices were there is done by then. */
enum { MAKE_MS = 120 * 1000, SETTLE_MS = 1500, REQUEST_REHEARSE = 1 };

struct making {
	struct loop *loop;
	struct vm *vm;
	struct frame_decoder in;
	struct buffer out;
	int state_fd;
	bool is_rehearsing, is_saving;
	struct error failure;
};

/* Called from within the VM's callbacks: it is taken down when the loop has ended. */
static void end(struct making *m, enum error_code code, const char *why)
{
	if (code != 0 && !error_is_set(&m->failure))
		(void)error_set(&m->failure, code, "%s", why);
	loop_stop(m->loop, 0);
}

static void on_saved(void *arg)
{
	end(arg, 0, NULL);
}

static void on_settled(void *arg)
{
	struct making *m = arg;

	vm_save(m->vm, m->state_fd, on_saved, m);
}

static void on_hello(struct making *m, const struct frame *f)
{
	struct msg_hello hello = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (m->is_rehearsing)
		return;
	int r = message_check_version(f, "its agent", &err);
	if (r == 0)
		r = msg_hello_unpack(f->payload, f->size, &hello, &err);
	msg_hello_release(&hello);
	if (r < 0) {
		end(m, err.code, error_message(&err));
		return;
	}
	m->is_rehearsing = true;
	frame_add_marker(&m->out);
	message_add_empty(&m->out, MSG_REHEARSE, REQUEST_REHEARSE);
	vm_send(m->vm, &m->out);
}

static void on_rehearsed(struct making *m, const struct frame *f)
{
	if (!m->is_rehearsing || m->is_saving || f->stream != REQUEST_REHEARSE)
		return;
	if (f->type != MSG_DONE) {
		end(m, E_INTERNAL, "its agent cannot make itself ready");
		return;
	}
	m->is_saving = true;
	(void)loop_after(m->loop, SETTLE_MS, on_settled, m);
}

static void on_agent(void *arg, const void *data, size_t size)
{
	struct making *m = arg;
	AUTO_ERROR err = ERROR_INIT;
	struct frame f;
	int r;

	frame_decoder_add(&m->in, data, size);
	while ((r = frame_decoder_next(&m->in, &f, &err)) > 0)
		if (f.type == MSG_HELLO)
			on_hello(m, &f);
		else
			on_rehearsed(m, &f);
	if (r < 0)
		end(m, err.code, error_message(&err));
}

static void on_ended(void *arg, enum error_code code, const char *why)
{
	end(arg, code, why);
}

static void on_timeout(void *arg)
{
	end(arg, E_TIMEOUT, "the machine did not come up in time");
}

static int run(struct making *m, const struct keeper_config *c, struct error *err)
{
	static const struct vm_events events = { on_agent, on_ended, NULL };

	if (vm_start(m->loop, c, VM_TEMPLATE, NULL, &events, m, &m->vm, err) < 0)
		return -(int)err->code;
	(void)loop_after(m->loop, MAKE_MS, on_timeout, m);
	(void)loop_run(m->loop);
	return error_is_set(&m->failure) ? error_move(err, &m->failure) : 0;
}

void template_seat(struct machine_config *m, struct template_seating *s, unsigned ports)
{
	static char none[] = "none", nowhere[] = "";

	m->disks = s->disks;
	if (s->lower)
		s->disks[m->disk_count++] = (struct machine_disk){ s->lower, nowhere, true };
	if (s->upper)
		s->disks[m->disk_count++] = (struct machine_disk){ s->upper, nowhere, false };
	s->nic = (struct machine_nic){ .id = none, .port_dir = nowhere, .mtu = s->mtu };
	m->nics = &s->nic;
	m->nic_count = s->has_nic ? 1 : 0;
	size_t seated = m->disk_count + m->nic_count;
	m->share_count = ports > seated ? ports - seated : 0;
}

static int create(const char *folder, const char *name, struct error *err)
{
	AUTO_FREE char *path = path_join(folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? error_sys(err, "create '%s'", path) : fd;
}

/* Nothing of it is in the page cache only: after a crash of the host it is whole or not there. */
static int seal(int fd, struct error *err)
{
	if (fchmod(fd, 0400) < 0 || fsync(fd) < 0)
		return error_sys(err, "save a template");
	return 0;
}

static int save_memory(const struct making *m, const char *folder, uint64_t size, struct error *err)
{
	AUTO_CLOSE int fd = create(folder, TEMPLATE_MEMORY, err);

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) < 0)
		return error_sys(err, "size a template's memory");
	int64_t bytes = memory_copy(vm_memory_fd(m->vm), fd, size, err);
	if (bytes < 0)
		return -(int)err->code;
	log_debug("a template's memory holds %lld bytes", (long long)bytes);
	return seal(fd, err);
}

/* @work is KEY.new: the machine runs in it, and the template is made in @folder below. */
static int make_files(const char *work, const char *folder, const char *key,
		      const struct keeper_config *c, struct error *err)
{
	struct making m = { .state_fd = -1, .failure = ERROR_INIT };
	AUTO_FREE char *run_dir = path_join(work, "run");
	char name[] = "template";
	const struct qemu_seats seats = qemu_seats(&c->machine);
	struct template_seating seating = { .lower = seats.lower ? seats.lower->serial : NULL,
					    .upper = seats.upper ? seats.upper->serial : NULL,
					    .has_nic = seats.nic,
					    .mtu = seats.nic ? seats.nic->mtu : 0 };
	struct keeper_config own = {
		.machine = { .name = name,
			     .run_dir = run_dir,
			     .kernel = c->machine.kernel,
			     .initrd = c->machine.initrd,
			     .kernel_args = c->machine.kernel_args,
			     .cpus = c->machine.cpus,
			     .memory_bytes = c->machine.memory_bytes,
			     .attached = true },
		.qemu = c->qemu,
		.kvm = c->kvm,
	};
	template_seat(&own.machine, &seating, qemu_root_ports(&c->machine, true));

	if (dir_make(run_dir, 0700, err) < 0 || dir_make(folder, 0700, err) < 0)
		return -(int)err->code;
	AUTO_CLOSE int state = create(folder, TEMPLATE_STATE, err);
	if (state < 0)
		return state;
	m.state_fd = state;
	m.loop = loop_new();
	frame_decoder_init(&m.in, FRAME_SERIAL);
	int r = run(&m, &own, err);
	if (r == 0)
		r = save_memory(&m, folder, qemu_memory_bytes(&own.machine), err);
	vm_free(m.vm);
	buffer_release(&m.out);
	frame_decoder_release(&m.in);
	loop_free(m.loop);
	error_clear(&m.failure);
	if (r == 0)
		r = seal(state, err);
	return r < 0 ? r : template_write_record(folder, key, c, err);
}

int template_make(const char *folder, const char *key, const struct keeper_config *c,
		  struct error *err)
{
	AUTO_FREE char *path = path_join(folder, key);
	AUTO_FREE char *work = xasprintf("%s" TEMPLATE_NEW, path);
	AUTO_FREE char *made = path_join(work, key);
	AUTO_ERROR ignored = ERROR_INIT;

	int r = make_files(work, made, key, c, err);
	if (r == 0 && rename(made, path) < 0)
		r = error_sys(err, "put '%s' in place", path);
	if (r == 0)
		r = dir_sync(folder, err);
	if (dir_remove_tree(work, &ignored) < 0)
		error_ignore(&ignored, "remove what a template was made in");
	return r;
}
