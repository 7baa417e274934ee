/* SPDX-License-Identifier: MIT */
/* Requests of the host, and those that wait for a device. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "vminitd/agent/agent.h"
#include "vminitd/agent/console.h"
#include "vminitd/agent/control.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/network.h"
#include "vminitd/agent/phases.h"

enum { DEVICE_TIMEOUT_MS = 10000, EARLY_LOG_LINES = 64, LOG_TEXT_MAX = 2000 };

/* A request that needs devices; they may still be on their way when it comes. */
struct request {
	struct agent *agent;
	struct request *next;
	enum msg_type type;
	uint32_t id;
	struct loop_timer *deadline;
	struct buffer missing;
	union {
		struct msg_setup setup;
		struct setup_disk disk;
		struct setup_share share;
		struct setup_nic nic;
		struct setup_tmpfs tmpfs;
		struct msg_limits limits;
	} m;
};

static void send_log(struct agent *a, enum msg_log_level level, char *text)
{
	struct msg_log m = { .level = level, .text = text };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_log_add(port_out(&a->port), MSG_LOG, STREAM_NONE, &m, &err) < 0)
		error_ignore(&err, "send a log line");
	port_flush(&a->port);
}

void agent_log(struct agent *a, enum msg_log_level level, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (level <= MSG_LOG_WARN)
		console_say("%s", text);
	if (!a->port.has_host) {
		if (a->early_log.count < EARLY_LOG_LINES)
			strlist_add(&a->early_log, text);
		return;
	}
	if (!port_is_busy(&a->port) || level == MSG_LOG_ERROR)
		send_log(a, level, text);
}

void agent_hello(struct agent *a, uint64_t host_nonce)
{
	struct utsname kernel = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	(void)uname(&kernel);
	struct msg_hello m = { .version = PROTOCOL_VERSION,
			       .nonce = a->nonce,
			       .host_nonce = host_nonce,
			       .kernel_release = kernel.release,
			       .monotonic_ms = clock_ms(),
			       .is_set_up = a->container.is_set_up,
			       .main_pid = (uint32_t)processes_main_pid(&a->processes) };
	if (msg_hello_add(port_out(&a->port), MSG_HELLO, STREAM_NONE, &m, &err) < 0)
		error_ignore(&err, "say hello");
	for (size_t i = 0; i < a->early_log.count; i++)
		send_log(a, MSG_LOG_WARN, a->early_log.items[i]);
	strlist_release(&a->early_log);
	port_flush(&a->port);
	phases_spoke();
}

void agent_answer(struct agent *a, uint32_t id, int r, struct error *err)
{
	if (r < 0) {
		message_add_error(port_out(&a->port), id, err->code, error_message(err));
		error_clear(err);
	} else {
		message_add_empty(port_out(&a->port), MSG_DONE, id);
	}
	port_flush(&a->port);
}

static void release_request(struct request *q)
{
	if (q->type == MSG_SETUP)
		msg_setup_release(&q->m.setup);
	else if (q->type == MSG_ATTACH_DISK || q->type == MSG_GROW_DISK)
		setup_disk_release(&q->m.disk);
	else if (q->type == MSG_ATTACH_SHARE)
		setup_share_release(&q->m.share);
	else if (q->type == MSG_ATTACH_TMPFS)
		setup_tmpfs_release(&q->m.tmpfs);
	else if (q->type == MSG_ATTACH_NIC)
		setup_nic_release(&q->m.nic);
	loop_cancel(q->agent->loop, q->deadline);
	buffer_release(&q->missing);
	free(q);
}

/* Return: 1 done, 0 a device is missing, -code */
static int try_setup(struct request *q, struct error *err)
{
	struct container *c = &q->agent->container;

	buffer_clear(&q->missing);
	int r = container_ready(c, &q->m.setup, &q->missing, err);
	if (r <= 0)
		return r;
	phase_done("wait for disks");
	r = container_set_up(c, &q->m.setup, err);
	for (size_t i = 0; r == 0 && i < c->setup.socket_count; i++)
		r = sockets_add(&q->agent->sockets, &c->setup.sockets[i], err);
	return r < 0 ? r : 1;
}

static int try_attach(struct request *q, struct error *err)
{
	struct root *root = &q->agent->container.root;
	int r;

	if (!q->agent->container.is_set_up)
		return error_set(err, E_UNAVAILABLE, "the container is not set up");
	if (q->type == MSG_ATTACH_DISK)
		r = root_add_disk(root, &q->m.disk, err);
	else if (q->type == MSG_ATTACH_SHARE)
		r = root_add_share(root, &q->m.share, err);
	else if (q->type == MSG_ATTACH_TMPFS)
		r = root_add_tmpfs(root, &q->m.tmpfs, err);
	else if (q->type == MSG_GROW_DISK)
		r = root_grow_disk(root, &q->m.disk, err);
	else if (q->type == MSG_LIMITS)
		r = container_set_limits(&q->agent->container, &q->m.limits, err);
	else
		r = container_set_nic(&q->agent->container, &q->m.nic, err);
	if (r == -E_NOT_FOUND) {
		buffer_clear(&q->missing);
		buffer_printf(&q->missing, " %s", error_message(err));
		error_clear(err);
		return 0;
	}
	return r < 0 ? r : 1;
}

/* Whether the request is answered; it is gone then. */
static bool try_request(struct request *q)
{
	AUTO_ERROR err = ERROR_INIT;
	int r = q->type == MSG_SETUP ? try_setup(q, &err) : try_attach(q, &err);

	if (r == 0)
		return false;
	agent_answer(q->agent, q->id, r, &err);
	release_request(q);
	return true;
}

static bool setup_waits(const struct agent *a)
{
	const struct request *q = a->waiting;

	while (q && q->type != MSG_SETUP)
		q = q->next;
	return q != NULL;
}

/* The setup is answered, however: what came behind it has its turn. */
static void release_held(struct agent *a)
{
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;

	if (a->held.size == 0 || setup_waits(a))
		return;
	frame_decoder_init(&d, FRAME_SOCKET);
	frame_decoder_add(&d, a->held.data, a->held.size);
	buffer_release(&a->held);
	while (frame_decoder_next(&d, &f, &err) > 0)
		agent_frame(a, &f);
	frame_decoder_release(&d);
}

void agent_retry(struct agent *a)
{
	struct request **at = &a->waiting;

	while (*at) {
		struct request *q = *at, *next = q->next;
		if (try_request(q))
			*at = next;
		else
			at = &q->next;
	}
	release_held(a);
}

static void on_deadline(void *arg)
{
	struct request *q = arg, **at = &q->agent->waiting;
	AUTO_ERROR err = ERROR_INIT;

	q->deadline = NULL;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	agent_answer(q->agent, q->id,
		     error_set(&err, E_TIMEOUT, "a device did not appear in the guest in time:%s",
			       buffer_str(&q->missing)),
		     &err);
	struct agent *a = q->agent;
	release_request(q);
	release_held(a);
}

static int unpack_setup(const struct frame *f, struct msg_setup *ret, struct error *err)
{
	if (message_check_version(f, "the host", err) < 0)
		return -(int)err->code;
	return msg_setup_unpack(f->payload, f->size, ret, err);
}

static int unpack_request(struct request *q, const struct frame *f, struct error *err)
{
	if (q->type == MSG_SETUP)
		return unpack_setup(f, &q->m.setup, err);
	if (q->type == MSG_ATTACH_TMPFS)
		return setup_tmpfs_unpack(f->payload, f->size, &q->m.tmpfs, err);
	if (q->type == MSG_ATTACH_DISK || q->type == MSG_GROW_DISK)
		return setup_disk_unpack(f->payload, f->size, &q->m.disk, err);
	if (q->type == MSG_ATTACH_SHARE)
		return setup_share_unpack(f->payload, f->size, &q->m.share, err);
	if (q->type == MSG_LIMITS)
		return msg_limits_unpack(f->payload, f->size, &q->m.limits, err);
	return setup_nic_unpack(f->payload, f->size, &q->m.nic, err);
}

static void on_device_request(struct agent *a, const struct frame *f)
{
	struct request *q = xcalloc(1, sizeof(*q));
	AUTO_ERROR err = ERROR_INIT;
	uint32_t timeout_ms = 0;

	*q = (struct request){ .agent = a, .type = (enum msg_type)f->type, .id = f->stream };
	int r = unpack_request(q, f, &err);
	if (r == 0 && q->type == MSG_SETUP) {
		timeout_ms = q->m.setup.device_timeout_ms;
		if (a->container.setup.hostname)
			r = error_set(&err, E_CONFLICT, "the machine is set up already");
	}
	if (r < 0) {
		agent_answer(a, f->stream, r, &err);
		release_request(q);
		return;
	}
	if (try_request(q))
		return;
	q->next = a->waiting;
	a->waiting = q;
	q->deadline =
		loop_after(a->loop, timeout_ms ? timeout_ms : DEVICE_TIMEOUT_MS, on_deadline, q);
}

static bool clock_is_off(uint64_t unix_time_ns)
{
	enum { TOLERATED_MS = 50 };
	uint64_t is = clock_unix_ms(), wanted = unix_time_ns / 1000000;

	return (is > wanted ? is - wanted : wanted - is) > TOLERATED_MS;
}

static int on_time(const struct frame *f, struct error *err)
{
	struct msg_time m = { 0 };
	int r = msg_time_unpack(f->payload, f->size, &m, err);

	/* What the host tells now and then is not worth a jump as large as its way took. */
	if (r == 0 && (m.entropy_size > 0 || clock_is_off(m.unix_time_ns)))
		r = clock_and_entropy(m.unix_time_ns, m.entropy, m.entropy_size, err);
	msg_time_release(&m);
	return r;
}

static int on_detach(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_detach m = { 0 };
	int r = msg_detach_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = root_detach(&a->container.root, m.target, err);
	if (r == 0)
		sockets_remove(&a->sockets, m.target);
	msg_detach_release(&m);
	return r;
}

static int on_detach_nic(struct agent *a, const struct frame *f, struct error *err)
{
	struct setup_nic m = { 0 };
	int r = setup_nic_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		container_drop_nic(&a->container, &m);
	setup_nic_release(&m);
	return r;
}

static int on_attach_socket(struct agent *a, const struct frame *f, struct error *err)
{
	struct setup_socket m = { 0 };
	int r = setup_socket_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = sockets_add(&a->sockets, &m, err);
	setup_socket_release(&m);
	return r;
}

static int on_names(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_names m = { 0 };
	int r = msg_names_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = container_write_names(&a->container, &m, err);
	msg_names_release(&m);
	return r;
}

static int on_filter(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_filter m = { 0 };
	int r = msg_filter_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = container_set_filter(&a->container, &m, err);
	msg_filter_release(&m);
	return r;
}

static int on_prepare(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_setup m = { 0 };
	int r = unpack_setup(f, &m, err);

	if (r == 0)
		r = container_rehearse(&a->container, &m, err);
	msg_setup_release(&m);
	return r;
}

static int on_write_file(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_write_file m = { 0 };
	int r = msg_write_file_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = container_write_file(&a->container, &m, err);
	if (m.content_size > 0)
		explicit_bzero(m.content, m.content_size);
	msg_write_file_release(&m);
	return r;
}

/* What is about a container needs one. */
static void on_container_request(struct agent *a, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;
	int r;

	if (!a->container.is_set_up)
		r = error_set(&err, E_UNAVAILABLE, "the container is not set up");
	else if (f->type == MSG_DETACH)
		r = on_detach(a, f, &err);
	else if (f->type == MSG_ATTACH_SOCKET)
		r = on_attach_socket(a, f, &err);
	else if (f->type == MSG_DETACH_NIC)
		r = on_detach_nic(a, f, &err);
	else if (f->type == MSG_NAMES)
		r = on_names(a, f, &err);
	else
		r = phase_after("write a file", on_write_file(a, f, &err));
	agent_answer(a, f->stream, r, &err);
}

static void on_sync(struct agent *a, const struct frame *f)
{
	struct msg_sync m;
	AUTO_ERROR err = ERROR_INIT;

	if (msg_sync_unpack(f->payload, f->size, &m, &err) < 0) {
		agent_log(a, MSG_LOG_WARN, "%s", error_message(&err));
		return;
	}
	/* Whoever sends this knows nothing of what went before. */
	processes_orphan(&a->processes);
	probes_forget(&a->probes);
	control_thaw(a);
	buffer_clear(&a->held);
	port_restart(&a->port);
	/* Machines of one template were one boot until now. */
	if (!a->container.is_set_up) {
		a->nonce ^= m.nonce;
		phases_forget_boot();
	}
	agent_hello(a, m.nonce);
}

static void on_spawn(struct agent *a, const struct frame *f)
{
	struct msg_spawn m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_spawn_unpack(f->payload, f->size, &m, &err) < 0) {
		struct msg_spawn_failed failed = { .kind = SPAWN_INVALID, .text = err.message };
		AUTO_ERROR why = ERROR_INIT;
		if (msg_spawn_failed_add(port_out(&a->port), MSG_SPAWN_FAILED, f->stream, &failed,
					 &why) < 0)
			error_ignore(&why, "report a failed start");
	} else {
		processes_spawn(&a->processes, f->stream, &m);
	}
	msg_spawn_release(&m);
	port_flush(&a->port);
}

static void on_copy(struct agent *a, const struct frame *f)
{
	struct msg_copy m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_copy_unpack(f->payload, f->size, &m, &err) < 0)
		agent_answer(a, f->stream, -1, &err);
	else
		processes_copy(&a->processes, f->stream, &m);
	msg_copy_release(&m);
	port_flush(&a->port);
}

static void on_connect(struct agent *a, const struct frame *f)
{
	struct msg_connect m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_connect_unpack(f->payload, f->size, &m, &err) < 0)
		agent_answer(a, f->stream, -1, &err);
	else
		sockets_connect(&a->sockets, f->stream, &m);
	msg_connect_release(&m);
}

static void on_trim(struct agent *a, const struct frame *f)
{
	struct msg_trimmed m = { .bytes = root_trim(&a->container.root) };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_trimmed_add(port_out(&a->port), MSG_TRIMMED, f->stream, &m, &err) < 0)
		agent_answer(a, f->stream, -1, &err);
}

static void on_shutdown(struct agent *a, const struct frame *f)
{
	struct msg_shutdown m;
	AUTO_ERROR err = ERROR_INIT;

	if (msg_shutdown_unpack(f->payload, f->size, &m, &err) < 0)
		agent_answer(a, f->stream, -(int)err.code, &err);
	else
		agent_shut_down(a, &m);
}

static void on_unknown(struct agent *a, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;

	agent_answer(a, f->stream,
		     error_set(&err, E_INVALID, "message type %u (%s) is not for the guest",
			       f->type, message_type_name(f->type)),
		     &err);
}

void agent_frame(struct agent *a, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;

	/* All may be asked for in one go, before the devices are there. */
	if (f->type != MSG_SYNC && f->type != MSG_SHUTDOWN && setup_waits(a)) {
		frame_add(&a->held, f->type, f->channel, f->stream, f->payload, f->size);
		return;
	}
	if (control_request(a, f))
		return;
	switch (f->type) {
	case MSG_SYNC:
		on_sync(a, f);
		break;
	case MSG_SETUP:
	case MSG_ATTACH_DISK:
	case MSG_ATTACH_SHARE:
	case MSG_ATTACH_NIC:
	case MSG_ATTACH_TMPFS:
	case MSG_GROW_DISK:
	case MSG_LIMITS: /* processors are devices, too */
		on_device_request(a, f);
		break;
	case MSG_SPAWN:
		on_spawn(a, f);
		break;
	case MSG_COPY:
		on_copy(a, f);
		break;
	case MSG_CONNECT:
		on_connect(a, f);
		break;
	case MSG_DATA:
	case MSG_END_OF_FILE:
	case MSG_CREDIT:
	case MSG_RESIZE:
	case MSG_SIGNAL:
	case MSG_CANCEL:
		processes_frame(&a->processes, f);
		break;
	case MSG_DETACH:
	case MSG_DETACH_NIC:
	case MSG_ATTACH_SOCKET:
	case MSG_NAMES:
	case MSG_WRITE_FILE:
		on_container_request(a, f);
		break;
	case MSG_TIME:
		agent_answer(a, f->stream, on_time(f, &err), &err);
		break;
	case MSG_TRACE:
		phases_start(f->stream);
		break;
	case MSG_REHEARSE:
		device_remember();
		agent_answer(a, f->stream, network_rehearse(&err), &err);
		break;
	case MSG_PREPARE:
		agent_answer(a, f->stream, on_prepare(a, f, &err), &err);
		break;
	case MSG_FILTER:
		agent_answer(a, f->stream, on_filter(a, f, &err), &err);
		break;
	case MSG_TRIM:
		on_trim(a, f);
		break;
	case MSG_PROBE:
		probes_begin(&a->probes, f);
		break;
	case MSG_SHUTDOWN:
		on_shutdown(a, f);
		break;
	default:
		on_unknown(a, f);
		break;
	}
}
