/* SPDX-License-Identifier: MIT */
/* One filled message of each kind. */
#include <string.h>

#include "base/alloc.h"
#include "tests/unit/vminitd/samples.h"

static char kernel[] = "6.1.0-56-cloud-amd64", words[] = "some words";
static uint8_t secret[] = { 0, 1, 0xff, 'x' };

/* Defines NAME_again(), and NAME_add() of a message with these fields. */
#define AGAIN(type)                                                                \
	static int type##_again(const void *data, size_t size, struct buffer *out, \
				struct error *err)                                 \
	{                                                                          \
		struct type m = { 0 }, copy = { 0 };                               \
		int r = type##_unpack(data, size, &m, err);                        \
		if (r < 0)                                                         \
			return r;                                                  \
		type##_copy(&copy, &m);                                            \
		type##_release(&m);                                                \
		r = type##_pack(&copy, out, err);                                  \
		type##_release(&copy);                                             \
		return r;                                                          \
	}
#define SAMPLE(type, number, ...)                                       \
	static int type##_sample(struct buffer *out, struct error *err) \
	{                                                               \
		struct type m = { __VA_ARGS__ };                        \
		return type##_add(out, number, 7, &m, err);             \
	}                                                               \
	AGAIN(type)

SAMPLE(msg_sync, MSG_SYNC, .nonce = 0x1122334455667788)
SAMPLE(msg_hello, MSG_HELLO, .version = 1, .nonce = 2, .host_nonce = 3, .kernel_release = kernel,
       .monotonic_ms = 4, .is_set_up = true, .main_pid = 5)
SAMPLE(msg_error, MSG_ERROR, .code = E_CONFLICT, .text = words)
SAMPLE(msg_started, MSG_STARTED, .pid = 99)
SAMPLE(msg_spawn_failed, MSG_SPAWN_FAILED, .kind = SPAWN_NO_USER, .text = words)
SAMPLE(msg_credit, MSG_CREDIT, .bytes = 65536)
SAMPLE(msg_resize, MSG_RESIZE, .rows = 24, .columns = 80)
SAMPLE(msg_signal, MSG_SIGNAL, .signal = 15)
SAMPLE(msg_exited, MSG_EXITED, .code = 137, .oom_killed = true)
SAMPLE(msg_log, MSG_LOG, .level = MSG_LOG_WARN, .text = words)
SAMPLE(msg_shutdown, MSG_SHUTDOWN, .signal = 15, .grace_ms = 10000)
SAMPLE(msg_time, MSG_TIME, .unix_time_ns = 1700000000000000000, .entropy = secret,
       .entropy_size = sizeof(secret))
SAMPLE(msg_trimmed, MSG_TRIMMED, .bytes = 1)
SAMPLE(msg_detach, MSG_DETACH, .target = words)
SAMPLE(msg_limits, MSG_LIMITS, .memory_bytes = 1, .pids = 2, .cpus = 3, .shm_bytes = 4)
SAMPLE(msg_filter, MSG_FILTER, .program = secret, .program_size = sizeof(secret))
SAMPLE(msg_copy, MSG_COPY, .direction = COPY_FROM_GUEST, .path = words, .name = words,
       .contents = true, .keeps_owner = false, .follows = true)
SAMPLE(msg_grow, MSG_GROW, .serial = words, .size_bytes = 1 << 20)
SAMPLE(msg_write_file, MSG_WRITE_FILE, .path = words, .mode = 0400, .uid = 1, .gid = 2,
       .append = true, .owner = words, .link_at = words, .content = secret,
       .content_size = sizeof(secret))
SAMPLE(msg_stats, MSG_STATS_REPLY, .memory_current = 1, .memory_peak = 2, .memory_limit = 3,
       .oom_kills = 4, .cpu_usage_us = 5, .pids = 6, .agent_resident_bytes = UINT64_MAX)
SAMPLE(msg_status, MSG_STATUS_REPLY, .phase = 2, .keeper_pid = 3, .qemu_pid = 4, .exit_code = -1,
       .oom_killed = false, .restarts = 5, .started_unix_ms = 6, .exited_unix_ms = 7,
       .memory_bytes = 8, .max_memory_bytes = 11, .error = words, .cpus = 9, .max_cpus = 12,
       .free_ports = 10, .is_half_changed = true, .is_paused = true)
SAMPLE(msg_kill_process, MSG_KILL_PROCESS, .signal = 9, .process = words)
SAMPLE(msg_freeze, MSG_FREEZE, .is_frozen = true)
SAMPLE(msg_disks, MSG_DISKS, .action = DISKS_FREEZE)
SAMPLE(msg_kernel_log, MSG_KERNEL_LOG_REPLY, .text = secret, .text_size = sizeof(secret))
SAMPLE(msg_stop, MSG_STOP, .signal = 2, .grace_ms = 3)
SAMPLE(setup_disk, MSG_ATTACH_DISK, .serial = words, .role = DISK_VOLUME, .target = words,
       .subpath = words, .fstype = words, .size_bytes = 1, .read_only = true,
       .flags = SETUP_NO_EXEC)
SAMPLE(setup_tmpfs, MSG_ATTACH_TMPFS, .target = words, .size_bytes = 1, .mode = 0700,
       .flags = SETUP_WITH_SUID)
SAMPLE(setup_socket, MSG_ATTACH_SOCKET, .target = words, .mode = 0666)
SAMPLE(msg_connect, MSG_CONNECT, .target = words)
SAMPLE(setup_share, MSG_ATTACH_SHARE, .tag = words, .target = words, .file_name = words,
       .read_only = true, .flags = SETUP_NO_EXEC)
SAMPLE(setup_nic, MSG_ATTACH_NIC, .mac = { 2, 0, 0, 0, 0, 1 }, .name = words, .mtu = 1500,
       .address = words, .prefix = 24, .gateway = words)

static void *array(size_t count, size_t size)
{
	return xcalloc(count, size);
}

static void sample_names(struct msg_names *n)
{
	strlist_add(&n->dns_servers, "10.0.0.2");
	strlist_add(&n->dns_search, "shop.test");
	strlist_add(&n->dns_options, "ndots:1");
	n->hosts = array(2, sizeof(*n->hosts));
	n->host_count = 2;
	n->hosts[0].address = xstrdup("10.0.0.3");
	strlist_add(&n->hosts[0].names, "db");
	strlist_add(&n->hosts[0].names, "postgres");
	n->hosts[1].address = xstrdup("10.0.0.4");
}

void sample_setup(struct msg_setup *s)
{
	*s = (struct msg_setup){ .version = 2,
				 .hostname = xstrdup("web"),
				 .read_only_root = true,
				 .unix_time_ns = 1700000000000000001,
				 .limits = { .memory_bytes = 1 << 30, .pids = 100 },
				 .device_timeout_ms = 5000 };
	s->disks = array(2, sizeof(*s->disks));
	s->disk_count = 2;
	s->disks[0] = (struct setup_disk){ .serial = xstrdup("lower"), .role = DISK_LOWER };
	s->disks[1] = (struct setup_disk){ .serial = xstrdup("v0"),
					   .role = DISK_VOLUME,
					   .target = xstrdup("/data"),
					   .size_bytes = 1 << 20 };
	s->shares = array(1, sizeof(*s->shares));
	s->share_count = 1;
	s->shares[0] = (struct setup_share){ .tag = xstrdup("s0"),
					     .target = xstrdup("/work"),
					     .read_only = true };
	s->tmpfs = array(1, sizeof(*s->tmpfs));
	s->tmpfs_count = 1;
	s->tmpfs[0] = (struct setup_tmpfs){ .target = xstrdup("/tmp"),
					    .size_bytes = 1 << 20,
					    .mode = 01777 };
	s->nics = array(1, sizeof(*s->nics));
	s->nic_count = 1;
	s->nics[0] = (struct setup_nic){ .mac = { 2, 0, 0, 0, 0, 1 },
					 .found_mac = { 2, 0, 0, 0, 0, 2 },
					 .name = xstrdup("eth0"),
					 .mtu = 1500,
					 .address = xstrdup("10.0.0.5"),
					 .prefix = 24,
					 .gateway = xstrdup("10.0.0.1") };
	s->sockets = array(1, sizeof(*s->sockets));
	s->socket_count = 1;
	s->sockets[0] = (struct setup_socket){ .target = xstrdup("/run/a.sock"), .mode = 0600 };
	sample_names(&s->names);
	s->sysctls = array(1, sizeof(*s->sysctls));
	s->sysctl_count = 1;
	s->sysctls[0] = (struct setup_sysctl){ xstrdup("net.core.somaxconn"), xstrdup("1024") };
	s->entropy = xmemdup("0123456789abcdef0123456789abcdef", 32);
	s->entropy_size = 32;
	s->shows_system_paths = true;
}

void sample_spawn(struct msg_spawn *s)
{
	*s = (struct msg_spawn){ .working_dir = xstrdup("/work"),
				 .user = xstrdup("dev:wheel"),
				 .is_main = true,
				 .tty = true,
				 .rows = 24,
				 .columns = 80,
				 .set_capabilities = true,
				 .capabilities = CAPABILITIES_DEFAULT,
				 .oom_score_adj = -5,
				 .ambient = 1 << 10,
				 .is_filtered = true };
	strlist_add(&s->argv, "sh");
	strlist_add(&s->argv, "-c");
	strlist_add(&s->argv, "");
	strlist_add(&s->env, "A=b c");
	strlist_add(&s->groups, "10");
	s->rlimits = array(1, sizeof(*s->rlimits));
	s->rlimit_count = 1;
	s->rlimits[0] = (struct spawn_rlimit){ 7, 100, UINT64_MAX };
}

static int msg_setup_sample(struct buffer *out, struct error *err)
{
	struct msg_setup m;

	sample_setup(&m);
	int r = msg_setup_add(out, MSG_SETUP, 7, &m, err);
	msg_setup_release(&m);
	return r;
}
AGAIN(msg_setup)

static int msg_spawn_sample(struct buffer *out, struct error *err)
{
	struct msg_spawn m;

	sample_spawn(&m);
	int r = msg_spawn_add(out, MSG_SPAWN, 7, &m, err);
	msg_spawn_release(&m);
	return r;
}
AGAIN(msg_spawn)

static int msg_names_sample(struct buffer *out, struct error *err)
{
	struct msg_names m = { 0 };

	sample_names(&m);
	int r = msg_names_add(out, MSG_NAMES, 7, &m, err);
	msg_names_release(&m);
	return r;
}
AGAIN(msg_names)

static int msg_kill_sample(struct buffer *out, struct error *err)
{
	struct kill_target targets[] = { { STREAM_MAIN }, { 9 } };
	struct msg_kill m = { .signal = 15, .targets = targets, .target_count = 2 };

	return msg_kill_add(out, MSG_KILL, 7, &m, err);
}
AGAIN(msg_kill)

static int msg_top_sample(struct buffer *out, struct error *err)
{
	struct top_row row = { .pid = 1,
			       .parent = 2,
			       .uid = 3,
			       .state = 'S',
			       .threads = 4,
			       .cpu_ms = 5,
			       .resident_bytes = 6,
			       .age_ms = 7,
			       .command = words };
	struct msg_top m = { .rows = &row, .row_count = 1, .left_out = 8 };

	return msg_top_add(out, MSG_TOP_REPLY, 7, &m, err);
}
AGAIN(msg_top)

static int msg_traced_sample(struct buffer *out, struct error *err)
{
	struct traced_phase phase = {
		.name = words, .is_process = true, .begin_us = 1, .end_us = 2
	};
	struct msg_traced m = {
		.received_us = 3, .sent_us = 4, .phases = &phase, .phase_count = 1
	};

	return msg_traced_add(out, MSG_TRACED, 7, &m, err);
}
AGAIN(msg_traced)

SAMPLE(msg_probed, MSG_PROBED, .is_healthy = true, .text = words)
SAMPLE(msg_wait, MSG_WAIT, .until = WAIT_READY)

static void sample_health(struct process_health *h)
{
	*h = (struct process_health){ .probe = { .kind = PROBE_HTTP,
						 .port = 80,
						 .path = xstrdup("/up"),
						 .status = 204,
						 .timeout_ms = 5000 },
				      .interval_ms = 10000,
				      .start_interval_ms = 1000,
				      .start_period_ms = 30000,
				      .retries = 3,
				      .restarts = true };
	strlist_add(&h->probe.addresses, "127.0.0.1");
	strlist_add(&h->probe.headers, "Host: shop");
}

static int msg_probe_sample(struct buffer *out, struct error *err)
{
	struct process_health h;

	sample_health(&h);
	int r = msg_probe_add(out, MSG_PROBE, 7, &h.probe, err);
	process_health_release(&h);
	return r;
}
AGAIN(msg_probe)

static int msg_supervise_sample(struct buffer *out, struct error *err)
{
	struct msg_supervise m;
	struct process_config *p = array(1, sizeof(*p));

	*p = (struct process_config){ .name = xstrdup("web"),
				      .is_task = true,
				      .restart = PROCESS_RESTART_ALWAYS,
				      .restart_max = 5,
				      .backoff_ms = 100,
				      .stop_signal = 2,
				      .stop_grace_ms = 3 };
	sample_spawn(&p->spawn);
	sample_health(&p->health);
	p->needs = array(1, sizeof(*p->needs));
	p->need_count = 1;
	p->needs[0] = (struct process_need){ xstrdup("db"), WHEN_DONE };
	m = (struct msg_supervise){ .processes = p,
				    .process_count = 1,
				    .restart = PROCESS_RESTART_ON_FAILURE,
				    .log_max_bytes = 1 << 20,
				    .log_files = 2 };
	sample_spawn(&m.start.spawn);
	m.watches = array(1, sizeof(*m.watches));
	m.watch_count = 1;
	m.watches[0] = (struct process_watch){ .process = xstrdup("web"),
					       .path = xstrdup("/home/a/shop/src"),
					       .action = WATCH_EXEC,
					       .signal = 1 };
	strlist_add(&m.watches[0].ignore, "*.o");
	sample_spawn(&m.watches[0].exec);
	int r = msg_supervise_add(out, MSG_SETUP, 7, &m, err);
	msg_supervise_release(&m);
	return r;
}
AGAIN(msg_supervise)

#define ROW(type)                                  \
	{                                          \
#type, type##_sample, type##_again \
	}
const struct sample samples[] = {
	ROW(msg_sync),         ROW(msg_hello),     ROW(msg_error),        ROW(msg_started),
	ROW(msg_spawn_failed), ROW(msg_credit),    ROW(msg_resize),       ROW(msg_signal),
	ROW(msg_exited),       ROW(msg_log),       ROW(msg_shutdown),     ROW(msg_time),
	ROW(msg_trimmed),      ROW(msg_detach),    ROW(msg_limits),       ROW(msg_write_file),
	ROW(msg_stats),        ROW(msg_status),    ROW(msg_stop),         ROW(setup_disk),
	ROW(setup_share),      ROW(setup_nic),     ROW(msg_setup),        ROW(msg_spawn),
	ROW(msg_names),        ROW(setup_tmpfs),   ROW(msg_grow),         ROW(msg_probe),
	ROW(msg_probed),       ROW(msg_supervise), ROW(msg_wait),         ROW(msg_filter),
	ROW(msg_copy),         ROW(msg_kill),      ROW(msg_kill_process), ROW(msg_freeze),
	ROW(msg_disks),        ROW(msg_top),       ROW(msg_kernel_log),   ROW(setup_socket),
	ROW(msg_connect),      ROW(msg_traced),
};
const size_t sample_count = ARRAY_SIZE(samples);
