/* SPDX-License-Identifier: MIT */
/* Making a template: a machine is started as any other, in its jail but with placeholders for a
 * container's devices, told to make itself ready, and saved. That of an image starts from that of
 * its machine, and has the disks of a container. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "runtime/machine/keeper_call.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/keeper_vm.h"
#include "runtime/machine/memory_copy.h"
#include "runtime/machine/template_internal.h"
#include "vminitd/protocol/message.h"

/* What the kernel put off until after its devices were there is done by then. */
enum {
	MAKE_MS = 120 * 1000,
	SETTLE_MS = 1500,
	SETTLE_IMAGE_MS = 200,
	ENTROPY = 64,
	REQUEST_REHEARSE = 1
};

struct making {
	const struct keeper_config *config; /* of whom it is for */
	enum template_kind kind;
	struct template from; /* an image's */
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

/* What all containers of the image have in common. */
static int add_prepare(struct making *m, struct error *err)
{
	static char nobody[] = "ctrz";
	const struct msg_setup *s = &m->config->machine.setup;
	uint8_t entropy[ENTROPY];
	struct setup_disk disks[2];
	struct msg_setup p = { .version = PROTOCOL_VERSION,
			       .hostname = nobody,
			       .disks = disks,
			       .init = true,
			       .entropy = entropy,
			       .entropy_size = sizeof(entropy),
			       .unix_time_ns = clock_unix_ms() * 1000000 };

	random_bytes(entropy, sizeof(entropy));
	for (size_t i = 0; i < s->disk_count && p.disk_count < ARRAY_SIZE(disks); i++)
		if (s->disks[i].role != DISK_VOLUME)
			disks[p.disk_count++] = s->disks[i];
	return msg_setup_add(&m->out, MSG_PREPARE, REQUEST_REHEARSE, &p, err);
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
	if (m->kind == TEMPLATE_MACHINE)
		message_add_empty(&m->out, MSG_REHEARSE, REQUEST_REHEARSE);
	else if (add_prepare(m, &err) < 0)
		end(m, err.code, error_message(&err));
	vm_send(m->vm, &m->out);
}

static void on_refused(struct making *m, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;

	if (f->type != MSG_ERROR) {
		end(m, E_INTEGRITY, "its agent answers with what is none");
		return;
	}
	(void)keeper_error(f, &err);
	AUTO_FREE char *text = text_escaped(error_message(&err));
	AUTO_FREE char *why = xasprintf("its agent cannot make itself ready: %s", text);
	end(m, err.code, why);
}

static void on_rehearsed(struct making *m, const struct frame *f)
{
	if (!m->is_rehearsing || m->is_saving || f->stream != REQUEST_REHEARSE)
		return;
	if (f->type != MSG_DONE) {
		on_refused(m, f);
		return;
	}
	m->is_saving = true;
	(void)loop_after(m->loop, m->kind == TEMPLATE_IMAGE ? SETTLE_IMAGE_MS : SETTLE_MS,
			 on_settled, m);
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
	enum vm_origin origin = m->kind == TEMPLATE_IMAGE ? VM_PREPARE : VM_TEMPLATE;

	if (vm_start(m->loop, c, origin, &m->from, &events, m, &m->vm, err) < 0 ||
	    (origin == VM_PREPARE && vm_ask_hello(m->vm, &m->out, err) < 0))
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
		s->disks[m->disk_count++] = (struct machine_disk){
			.serial = s->lower, .path = s->image ? s->image : nowhere, .read_only = true
		};
	if (s->upper)
		s->disks[m->disk_count++] = (struct machine_disk){
			.serial = s->upper, .path = s->disk ? s->disk : nowhere, .empty = s->empty
		};
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

/* Return: the descriptor of a sparse copy, or -code */
static int create_copy(int from, uint64_t size, const char *folder, const char *name,
		       struct error *err)
{
	AUTO_CLOSE int fd = create(folder, name, err);

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) < 0)
		return error_sys(err, "size a template's %s", name);
	int64_t bytes = memory_copy(from, fd, size, err);
	if (bytes < 0)
		return -(int)err->code;
	log_debug("a template's %s holds %lld bytes", name, (long long)bytes);
	return take_fd(&fd);
}

static int save_memory(const struct making *m, const char *folder, uint64_t size, struct error *err)
{
	AUTO_CLOSE int fd = create_copy(vm_memory_fd(m->vm), size, folder, TEMPLATE_MEMORY, err);

	return fd < 0 ? fd : seal(fd, err);
}

/* A copy of an empty disk, which the machine will have mounted. */
static int copy_disk(const char *from, const char *folder, struct error *err)
{
	AUTO_CLOSE int source = open(from, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (source < 0 || fstat(source, &st) < 0)
		return error_sys(err, "open '%s'", from);
	AUTO_CLOSE int fd = create_copy(source, (uint64_t)st.st_size, folder, TEMPLATE_DISK, err);
	return fd < 0 ? fd : 0;
}

static int seal_disk(const char *folder, struct error *err)
{
	AUTO_FREE char *path = path_join(folder, TEMPLATE_DISK);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? error_sys(err, "open '%s'", path) : seal(fd, err);
}

/* The machine is started, saved, and gone again. */
static int make_machine(struct making *m, const char *folder, const struct keeper_config *own,
			struct error *err)
{
	m->loop = loop_new();
	frame_decoder_init(&m->in, FRAME_SERIAL);
	int r = run(m, own, err);
	if (r == 0)
		r = save_memory(m, folder, qemu_memory_bytes(&own->machine), err);
	vm_free(m->vm);
	buffer_release(&m->out);
	frame_decoder_release(&m->in);
	loop_free(m->loop);
	error_clear(&m->failure);
	if (r == 0)
		r = seal(m->state_fd, err);
	return r == 0 && m->kind == TEMPLATE_IMAGE ? seal_disk(folder, err) : r;
}

/* @m->from is there. The machine runs in @work, and the template is made in @folder below. */
static int make_files(struct making *m, const char *work, const char *folder, struct error *err)
{
	const struct machine_config *like = &m->config->machine;
	const struct qemu_seats seats = qemu_seats(like);
	bool is_image = m->kind == TEMPLATE_IMAGE;
	AUTO_FREE char *run_dir = path_join(work, "run");
	AUTO_FREE char *disk = path_join(folder, TEMPLATE_DISK);
	char name[] = "template";
	struct template_seating seating = { .lower = seats.lower ? seats.lower->serial : NULL,
					    .upper = seats.upper ? seats.upper->serial : NULL,
					    .image = is_image ? seats.lower->path : NULL,
					    .disk = is_image ? disk : NULL,
					    .has_nic = seats.nic,
					    .mtu = seats.nic ? seats.nic->mtu : 0 };
	struct keeper_config own = {
		.machine = { .name = name,
			     .run_dir = run_dir,
			     .kernel = like->kernel,
			     .initrd = like->initrd,
			     .kernel_args = like->kernel_args,
			     .cpus = like->cpus,
			     .memory_bytes = like->memory_bytes,
			     .attached = true },
		.qemu = m->config->qemu,
		.kvm = m->config->kvm,
	};
	template_seat(&own.machine, &seating, qemu_root_ports(like, true));

	if (dir_make(run_dir, 0700, err) < 0 || dir_make(folder, 0700, err) < 0 ||
	    (is_image && copy_disk(seats.upper->path, folder, err) < 0))
		return -(int)err->code;
	AUTO_CLOSE int state = create(folder, TEMPLATE_STATE, err);
	if (state < 0)
		return state;
	m->state_fd = state;
	return make_machine(m, folder, &own, err);
}

int template_make(const char *folder, const char *key, const struct keeper_config *c,
		  enum template_kind kind, struct error *err)
{
	struct making m = { .config = c,
			    .kind = kind,
			    .from = TEMPLATE_INIT,
			    .state_fd = -1,
			    .failure = ERROR_INIT };
	AUTO_FREE char *path = path_join(folder, key);
	AUTO_FREE char *work = xasprintf("%s" TEMPLATE_NEW, path);
	AUTO_FREE char *made = path_join(work, key);
	AUTO_ERROR ignored = ERROR_INIT;
	int r = 0;

	if (kind == TEMPLATE_IMAGE)
		r = template_open(folder, c, TEMPLATE_MACHINE, &m.from, err);
	if (r == 0)
		r = make_files(&m, work, made, err);
	template_close(&m.from);
	if (r == 0)
		r = template_write_record(made, key, c, kind, err);
	if (r == 0 && rename(made, path) < 0)
		r = error_sys(err, "put '%s' in place", path);
	if (r == 0)
		r = dir_sync(folder, err);
	if (dir_remove_tree(work, &ignored) < 0)
		error_ignore(&ignored, "remove what a template was made in");
	return r;
}
