/* SPDX-License-Identifier: MIT */
/* The wire form of every message: the order of the tables is the order on the wire. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "vminitd/protocol/message.h"
#include "vminitd/protocol/schema_internal.h"

/* Bounds: paths as long as the kernel takes them, names as the formats they go into take them. */
enum {
	PATH_BYTES = 4095,
	NAME_BYTES = 255,
	TEXT_BYTES = 4096,
	HOSTS = 4096,
	HOST_NAMES = 64,
	NICS = 64,
	SYSCTLS = 256,
	SERVERS = 16,
	RLIMITS = 32,
	ARGUMENTS = 16384,
	GROUPS = 256,
	FILE_BYTES = 128 * 1024,
	KILLED = PROCESSES_CONFIGURED_MAX + 1,
};

static_assert(sizeof(enum error_code) == 4 && sizeof(enum disk_role) == 4 &&
		      sizeof(enum spawn_failure) == 4 && sizeof(enum msg_log_level) == 4,
	      "enums travel as u32");

#define FIELD(kind_, m, limit)                                                                  \
	{                                                                                       \
		.name = #m, .kind = (kind_), .offset = offsetof(struct THIS, m), .max = (limit) \
	}
#define BOOL(m) FIELD(FIELD_BOOL, m, 0)
#define U32(m) FIELD(FIELD_U32, m, 0)
#define I32(m) FIELD(FIELD_I32, m, 0)
#define U64(m) FIELD(FIELD_U64, m, 0)
#define ENUM(m, end) FIELD(FIELD_ENUM, m, end)
#define STRING(m, limit) FIELD(FIELD_STRING, m, limit)
#define FIXED(m) FIELD(FIELD_FIXED, m, sizeof(((struct THIS *)0)->m))
#define STRINGS(m, limit) FIELD(FIELD_STRINGS, m, limit)
#define COUNTED(kind_, m, counter, limit, of)                                                   \
	{                                                                                       \
		.name = #m, .kind = (kind_), .offset = offsetof(struct THIS, m),                \
		.count_offset = offsetof(struct THIS, counter), .max = (limit), .element = (of) \
	}
#define BYTES(m, counter, limit) COUNTED(FIELD_BYTES, m, counter, limit, NULL)
#define LIST(m, counter, limit, of) COUNTED(FIELD_LIST, m, counter, limit, &of##_schema)
#define STRUCT(m, of)                                                                 \
	{                                                                             \
		.name = #m, .kind = FIELD_STRUCT, .offset = offsetof(struct THIS, m), \
		.element = &of##_schema                                               \
	}

#define SCHEMA(type, ...)                                                                       \
	static const struct field type##_fields[] = { __VA_ARGS__ };                            \
	static const struct schema type##_schema = { #type, sizeof(struct type), type##_fields, \
						     ARRAY_SIZE(type##_fields) };

#define MESSAGE(name)                                                                         \
	int name##_pack(const struct name *m, struct buffer *out, struct error *err)          \
	{                                                                                     \
		return schema_pack(&name##_schema, m, out, err);                              \
	}                                                                                     \
	int name##_unpack(const void *data, size_t size, struct name *ret, struct error *err) \
	{                                                                                     \
		return schema_unpack(&name##_schema, data, size, ret, err);                   \
	}                                                                                     \
	void name##_copy(struct name *ret, const struct name *m)                              \
	{                                                                                     \
		schema_copy(&name##_schema, ret, m);                                          \
	}                                                                                     \
	void name##_release(struct name *m)                                                   \
	{                                                                                     \
		schema_release(&name##_schema, m);                                            \
	}                                                                                     \
	int name##_add(struct buffer *out, enum msg_type type, uint32_t stream,               \
		       const struct name *m, struct error *err)                               \
	{                                                                                     \
		return add_message(out, type, stream, &name##_schema, m, err);                \
	}

static int add_message(struct buffer *out, enum msg_type type, uint32_t stream,
		       const struct schema *s, const void *m, struct error *err)
{
	size_t begin = frame_begin(out, (uint16_t)type, stream);
	int r = schema_pack(s, m, out, err);

	if (r < 0) {
		out->size = begin;
		out->data[begin] = '\0';
		return r;
	}
	return frame_end(out, begin, err);
}

#define THIS msg_sync
SCHEMA(msg_sync, U64(nonce))
#undef THIS
#define THIS msg_hello
SCHEMA(msg_hello, U32(version), U64(nonce), U64(host_nonce), STRING(kernel_release, NAME_BYTES),
       U64(monotonic_ms), BOOL(is_set_up), U32(main_pid))
#undef THIS
#define THIS msg_error
SCHEMA(msg_error, ENUM(code, E_INTERNAL + 1), STRING(text, TEXT_BYTES))
#undef THIS

#define THIS setup_disk
SCHEMA(setup_disk, STRING(serial, NAME_BYTES), ENUM(role, DISK_ROLES), STRING(target, PATH_BYTES),
       STRING(subpath, PATH_BYTES), STRING(fstype, NAME_BYTES), U64(size_bytes), BOOL(read_only),
       U32(flags))
#undef THIS
#define THIS setup_share
SCHEMA(setup_share, STRING(tag, NAME_BYTES), STRING(target, PATH_BYTES),
       STRING(file_name, NAME_BYTES), BOOL(read_only), U32(flags))
#undef THIS
#define THIS setup_tmpfs
SCHEMA(setup_tmpfs, STRING(target, PATH_BYTES), U64(size_bytes), U32(mode), BOOL(read_only),
       U32(flags))
#undef THIS
#define THIS setup_socket
SCHEMA(setup_socket, STRING(target, PATH_BYTES), U32(mode))
#undef THIS
#define THIS msg_connect
SCHEMA(msg_connect, STRING(target, PATH_BYTES))
#undef THIS
#define THIS setup_nic
SCHEMA(setup_nic, FIXED(mac), FIXED(found_mac), STRING(name, 15), U32(mtu), STRING(address, 45),
       U32(prefix), STRING(gateway, 45), STRING(address6, 45), U32(prefix6), STRING(gateway6, 45))
#undef THIS
#define THIS setup_host
SCHEMA(setup_host, STRING(address, 45), STRINGS(names, HOST_NAMES))
#undef THIS
#define THIS setup_sysctl
SCHEMA(setup_sysctl, STRING(name, NAME_BYTES), STRING(value, TEXT_BYTES))
#undef THIS
#define THIS msg_names
SCHEMA(msg_names, STRINGS(dns_servers, SERVERS), STRINGS(dns_search, SERVERS),
       STRINGS(dns_options, SERVERS), LIST(hosts, host_count, HOSTS, setup_host))
#undef THIS
#define THIS msg_limits
SCHEMA(msg_limits, U64(memory_bytes), U64(pids), U32(cpus), U64(shm_bytes))
#undef THIS
#define THIS msg_setup
SCHEMA(msg_setup, U32(version), STRING(hostname, 64),
       LIST(disks, disk_count, SETUP_MOUNTS_MAX, setup_disk), BOOL(read_only_root), BOOL(init),
       LIST(shares, share_count, SETUP_MOUNTS_MAX, setup_share),
       LIST(tmpfs, tmpfs_count, SETUP_MOUNTS_MAX, setup_tmpfs),
       LIST(sockets, socket_count, SETUP_MOUNTS_MAX, setup_socket),
       LIST(nics, nic_count, NICS, setup_nic), STRUCT(names, msg_names),
       LIST(sysctls, sysctl_count, SYSCTLS, setup_sysctl),
       BYTES(entropy, entropy_size, SETUP_ENTROPY_MAX), U64(unix_time_ns),
       STRUCT(limits, msg_limits), U32(device_timeout_ms), BOOL(shows_system_paths))
#undef THIS

#define THIS spawn_rlimit
SCHEMA(spawn_rlimit, U32(resource), U64(soft), U64(hard))
#undef THIS
#define THIS msg_spawn
SCHEMA(msg_spawn, STRINGS(argv, ARGUMENTS), STRINGS(env, ARGUMENTS),
       STRING(working_dir, PATH_BYTES), STRING(user, NAME_BYTES), STRINGS(groups, GROUPS),
       BOOL(is_main), BOOL(tty), BOOL(stdin_open), U32(rows), U32(columns),
       LIST(rlimits, rlimit_count, RLIMITS, spawn_rlimit), BOOL(set_capabilities),
       U64(capabilities), BOOL(no_new_privileges), I32(oom_score_adj), U64(ambient),
       BOOL(is_filtered))
#undef THIS
#define THIS msg_filter
SCHEMA(msg_filter, BYTES(program, program_size, FILTER_BYTES_MAX))
#undef THIS
#define THIS msg_started
SCHEMA(msg_started, U32(pid))
#undef THIS
#define THIS msg_spawn_failed
SCHEMA(msg_spawn_failed, ENUM(kind, SPAWN_FAILURES), STRING(text, TEXT_BYTES))
#undef THIS
#define THIS msg_credit
SCHEMA(msg_credit, U32(bytes))
#undef THIS
#define THIS msg_resize
SCHEMA(msg_resize, U32(rows), U32(columns))
#undef THIS
#define THIS msg_signal
SCHEMA(msg_signal, U32(signal))
#undef THIS
#define THIS kill_target
SCHEMA(kill_target, U32(stream))
#undef THIS
#define THIS msg_kill
SCHEMA(msg_kill, U32(signal), LIST(targets, target_count, KILLED, kill_target))
#undef THIS
#define THIS msg_kill_process
SCHEMA(msg_kill_process, U32(signal), STRING(process, NAME_BYTES))
#undef THIS
#define THIS msg_freeze
SCHEMA(msg_freeze, BOOL(is_frozen))
#undef THIS
#define THIS msg_disks
SCHEMA(msg_disks, ENUM(action, DISKS_ACTIONS))
#undef THIS
#define THIS msg_exited
SCHEMA(msg_exited, U32(code), BOOL(oom_killed))
#undef THIS

#define THIS msg_log
SCHEMA(msg_log, ENUM(level, MSG_LOG_LEVELS), STRING(text, TEXT_BYTES))
#undef THIS
#define THIS msg_shutdown
SCHEMA(msg_shutdown, U32(signal), U32(grace_ms))
#undef THIS
#define THIS msg_time
SCHEMA(msg_time, U64(unix_time_ns), BYTES(entropy, entropy_size, SETUP_ENTROPY_MAX))
#undef THIS
#define THIS msg_trimmed
SCHEMA(msg_trimmed, U64(bytes))
#undef THIS
#define THIS msg_detach
SCHEMA(msg_detach, STRING(target, PATH_BYTES))
#undef THIS
#define THIS msg_write_file
SCHEMA(msg_write_file, STRING(path, PATH_BYTES), U32(mode), U32(uid), U32(gid), BOOL(append),
       STRING(owner, NAME_BYTES), STRING(link_at, PATH_BYTES),
       BYTES(content, content_size, FILE_BYTES))
#undef THIS
#define THIS msg_stats
SCHEMA(msg_stats, U64(memory_current), U64(memory_peak), U64(memory_limit), U64(oom_kills),
       U64(cpu_usage_us), U64(cpu_user_us), U64(cpu_system_us), U64(pids), U64(io_read_bytes),
       U64(io_write_bytes), U64(net_received_bytes), U64(net_sent_bytes), U64(machine_memory_total),
       U64(machine_memory_available), U64(disk_total), U64(disk_free), U64(agent_resident_bytes))
#undef THIS

#define THIS top_row
SCHEMA(top_row, U32(pid), U32(parent), U32(uid), U32(state), U32(threads), U64(cpu_ms),
       U64(resident_bytes), U64(age_ms), STRING(command, TOP_COMMAND_MAX))
#undef THIS
#define THIS msg_top
SCHEMA(msg_top, LIST(rows, row_count, TOP_ROWS_MAX, top_row), U32(left_out))
#undef THIS
#define THIS msg_kernel_log
SCHEMA(msg_kernel_log, BYTES(text, text_size, KERNEL_LOG_MAX))
#undef THIS

#define THIS traced_phase
SCHEMA(traced_phase, STRING(name, TRACED_NAME_MAX), BOOL(is_process), U64(begin_us), U64(end_us))
#undef THIS
#define THIS msg_traced
SCHEMA(msg_traced, U64(received_us), U64(sent_us),
       LIST(phases, phase_count, TRACED_MAX, traced_phase))
#undef THIS

#define THIS msg_probe
SCHEMA(msg_probe, ENUM(kind, PROBE_KINDS), STRINGS(addresses, PROBE_ADDRESSES_MAX), U32(port),
       STRING(path, PATH_BYTES), STRINGS(headers, PROBE_HEADERS_MAX), U32(status), U32(timeout_ms))
#undef THIS
#define THIS msg_probed
SCHEMA(msg_probed, BOOL(is_healthy), STRING(text, TEXT_BYTES))
#undef THIS
#define THIS process_health
SCHEMA(process_health, STRUCT(probe, msg_probe), STRUCT(exec, msg_spawn), U32(interval_ms),
       U32(start_interval_ms), U32(start_period_ms), U32(retries), BOOL(restarts))
#undef THIS
#define THIS process_need
SCHEMA(process_need, STRING(name, NAME_BYTES), ENUM(condition, WHEN_CONDITIONS))
#undef THIS
#define THIS process_config
SCHEMA(process_config, STRING(name, NAME_BYTES), STRUCT(spawn, msg_spawn), BOOL(is_task),
       LIST(needs, need_count, PROCESSES_CONFIGURED_MAX, process_need),
       STRUCT(health, process_health), ENUM(restart, PROCESS_RESTARTS), U32(restart_max),
       U32(backoff_ms), U32(stop_signal), U32(stop_grace_ms))
#undef THIS
#define THIS process_hook
SCHEMA(process_hook, STRUCT(spawn, msg_spawn), U32(timeout_ms))
#undef THIS
#define THIS process_watch
SCHEMA(process_watch, STRING(process, NAME_BYTES), STRING(path, PATH_BYTES),
       STRINGS(ignore, WATCH_IGNORE_MAX), ENUM(action, WATCH_ACTIONS), U32(signal),
       STRUCT(exec, msg_spawn))
#undef THIS
#define THIS msg_supervise
SCHEMA(msg_supervise, LIST(processes, process_count, PROCESSES_CONFIGURED_MAX, process_config),
       STRUCT(health, process_health), STRUCT(create, process_hook), STRUCT(start, process_hook),
       STRUCT(stop, process_hook), ENUM(restart, PROCESS_RESTARTS), U32(restart_max),
       U32(backoff_ms), U32(stop_signal), U32(stop_grace_ms), U64(log_max_bytes), U32(log_files),
       LIST(watches, watch_count, WATCHES_MAX, process_watch))
#undef THIS
#define THIS msg_wait
SCHEMA(msg_wait, ENUM(until, WAIT_ENDS))
#undef THIS

#define THIS status_process
SCHEMA(status_process, STRING(name, NAME_BYTES), ENUM(phase, PROCESS_PHASES),
       ENUM(health, HEALTH_STATES), BOOL(is_task), U32(pid), I32(exit_code), U32(restarts),
       U64(started_unix_ms), STRING(text, TEXT_BYTES))
#undef THIS
#define THIS msg_status
SCHEMA(msg_status, U32(phase), U32(keeper_pid), U32(qemu_pid), I32(exit_code), BOOL(oom_killed),
       U32(restarts), U64(started_unix_ms), U64(exited_unix_ms), U64(memory_bytes),
       U64(max_memory_bytes), STRING(error, TEXT_BYTES), U32(cpus), U32(max_cpus), U32(free_ports),
       BOOL(is_half_changed), BOOL(is_paused), ENUM(health, HEALTH_STATES),
       STRING(health_text, TEXT_BYTES),
       LIST(processes, process_count, PROCESSES_CONFIGURED_MAX, status_process))
#undef THIS
#define THIS msg_grow
SCHEMA(msg_grow, STRING(serial, NAME_BYTES), U64(size_bytes))
#undef THIS
#define THIS msg_copy
SCHEMA(msg_copy, ENUM(direction, COPY_DIRECTIONS), STRING(path, PATH_BYTES),
       STRING(name, NAME_BYTES), BOOL(contents), BOOL(keeps_owner), BOOL(follows))
#undef THIS
#define THIS copy_attribute
SCHEMA(copy_attribute, STRING(name, NAME_BYTES), BYTES(value, value_size, COPY_ATTRIBUTE_MAX))
#undef THIS
#define THIS copy_entry
SCHEMA(copy_entry, ENUM(kind, COPY_KINDS), STRING(name, NAME_BYTES), U32(mode), U32(uid), U32(gid),
       U64(size_bytes), U64(mtime_s), U32(mtime_ns), STRING(link, PATH_BYTES), U32(same),
       LIST(attributes, attribute_count, COPY_ATTRIBUTES_MAX, copy_attribute))
#undef THIS
#define THIS msg_stop
SCHEMA(msg_stop, U32(signal), U32(grace_ms))
#undef THIS

MESSAGE(msg_sync)
MESSAGE(msg_hello)
MESSAGE(msg_error)
MESSAGE(msg_setup)
MESSAGE(msg_spawn)
MESSAGE(msg_filter)
MESSAGE(msg_started)
MESSAGE(msg_spawn_failed)
MESSAGE(msg_credit)
MESSAGE(msg_resize)
MESSAGE(msg_signal)
MESSAGE(msg_kill)
MESSAGE(msg_kill_process)
MESSAGE(msg_freeze)
MESSAGE(msg_disks)
MESSAGE(msg_exited)
MESSAGE(msg_log)
MESSAGE(msg_shutdown)
MESSAGE(msg_time)
MESSAGE(msg_trimmed)
MESSAGE(msg_detach)
MESSAGE(msg_names)
MESSAGE(msg_limits)
MESSAGE(msg_write_file)
MESSAGE(msg_stats)
MESSAGE(msg_top)
MESSAGE(msg_kernel_log)
MESSAGE(msg_status)
MESSAGE(msg_stop)
MESSAGE(msg_probe)
MESSAGE(msg_traced)
MESSAGE(msg_probed)
MESSAGE(msg_supervise)
MESSAGE(msg_wait)
MESSAGE(process_config)
MESSAGE(process_health)
MESSAGE(setup_disk)
MESSAGE(setup_share)
MESSAGE(setup_nic)
MESSAGE(setup_tmpfs)
MESSAGE(setup_socket)
MESSAGE(msg_connect)
MESSAGE(msg_grow)
MESSAGE(msg_copy)
MESSAGE(copy_entry)

void message_add_empty(struct buffer *out, enum msg_type type, uint32_t stream)
{
	frame_add(out, (uint16_t)type, 0, stream, NULL, 0);
}

void message_add_data(struct buffer *out, uint32_t stream, enum msg_channel channel,
		      const void *data, size_t size)
{
	assert(size <= FRAME_DATA_MAX);
	frame_add(out, MSG_DATA, (uint16_t)channel, stream, data, size);
}

ssize_t message_add_read_data(struct buffer *out, uint32_t stream, enum msg_channel channel, int fd,
			      size_t size)
{
	assert(size <= FRAME_DATA_MAX);
	return frame_add_read(out, MSG_DATA, (uint16_t)channel, stream, fd, size);
}

void message_add_end_of_file(struct buffer *out, uint32_t stream, enum msg_channel channel)
{
	frame_add(out, MSG_END_OF_FILE, (uint16_t)channel, stream, NULL, 0);
}

void message_add_credit(struct buffer *out, uint32_t stream, enum msg_channel channel,
			uint32_t bytes)
{
	uint8_t payload[4];

	if (bytes == 0)
		return;
	put_be32(payload, bytes);
	frame_add(out, MSG_CREDIT, (uint16_t)channel, stream, payload, sizeof(payload));
}

void message_add_error(struct buffer *out, uint32_t request, enum error_code code, const char *text)
{
	AUTO_FREE char *cut = xstrndup(text, TEXT_BYTES);
	AUTO_ERROR err = ERROR_INIT;
	struct msg_error m = { .code = code, .text = cut };

	if (msg_error_add(out, MSG_ERROR, request, &m, &err) < 0)
		error_ignore(&err, "send an error");
}

int message_check_version(const struct frame *f, const char *who, struct error *err)
{
	uint32_t version = f->size >= sizeof(version) ? get_be32(f->payload) : PROTOCOL_VERSION;

	if (version == PROTOCOL_VERSION)
		return 0;
	return error_set(err, E_CONFLICT,
			 "%s speaks version %u of the protocol, not %d: the machine's initramfs "
			 "is of another ctrz",
			 who, version, PROTOCOL_VERSION);
}

const char *message_type_name(unsigned type)
{
	static const struct {
		enum msg_type type;
		const char *name;
	} names[] = {
		{ MSG_SYNC, "sync" },
		{ MSG_HELLO, "hello" },
		{ MSG_SETUP, "setup" },
		{ MSG_DONE, "done" },
		{ MSG_ERROR, "error" },
		{ MSG_SPAWN, "spawn" },
		{ MSG_STARTED, "started" },
		{ MSG_SPAWN_FAILED, "spawn-failed" },
		{ MSG_DATA, "data" },
		{ MSG_END_OF_FILE, "end-of-file" },
		{ MSG_CREDIT, "credit" },
		{ MSG_RESIZE, "resize" },
		{ MSG_SIGNAL, "signal" },
		{ MSG_EXITED, "exited" },
		{ MSG_CANCEL, "cancel" },
		{ MSG_LOG, "log" },
		{ MSG_SHUTDOWN, "shutdown" },
		{ MSG_SHUTDOWN_DONE, "shutdown-done" },
		{ MSG_TIME, "time" },
		{ MSG_TRIM, "trim" },
		{ MSG_TRIMMED, "trimmed" },
		{ MSG_ATTACH_DISK, "attach-disk" },
		{ MSG_ATTACH_SHARE, "attach-share" },
		{ MSG_DETACH, "detach" },
		{ MSG_ATTACH_NIC, "attach-nic" },
		{ MSG_NAMES, "names" },
		{ MSG_LIMITS, "limits" },
		{ MSG_WRITE_FILE, "write-file" },
		{ MSG_STATS, "stats" },
		{ MSG_STATS_REPLY, "stats-reply" },
		{ MSG_KILL, "kill" },
		{ MSG_FREEZE, "freeze" },
		{ MSG_TOP, "top" },
		{ MSG_TOP_REPLY, "top-reply" },
		{ MSG_KERNEL_LOG, "kernel-log" },
		{ MSG_KERNEL_LOG_REPLY, "kernel-log-reply" },
		{ MSG_DISKS, "disks" },
		{ MSG_ATTACH_TMPFS, "attach-tmpfs" },
		{ MSG_GROW_DISK, "grow-disk" },
		{ MSG_DETACH_NIC, "detach-nic" },
		{ MSG_ATTACH, "attach" },
		{ MSG_STATUS, "status" },
		{ MSG_STATUS_REPLY, "status-reply" },
		{ MSG_STOP, "stop" },
		{ MSG_KILL_PROCESS, "kill-process" },
		{ MSG_PAUSE, "pause" },
		{ MSG_CHANGE, "change" },
		{ MSG_CHANGE_PART, "change-part" },
		{ MSG_GROW, "grow" },
		{ MSG_PROBE, "probe" },
		{ MSG_PROBED, "probed" },
		{ MSG_TRACE, "trace" },
		{ MSG_REHEARSE, "rehearse" },
		{ MSG_PREPARE, "prepare" },
		{ MSG_TRACED, "traced" },
		{ MSG_FILTER, "filter" },
		{ MSG_ATTACH_SOCKET, "attach-socket" },
		{ MSG_CONNECT, "connect" },
		{ MSG_WAIT, "wait" },
		{ MSG_LEAVE, "leave" },
		{ MSG_COPY, "copy" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((unsigned)names[i].type == type)
			return names[i].name;
	return "unknown";
}

const char *process_phase_name(enum process_phase phase)
{
	static const char *const names[] = { "waiting", "starting", "running", "stopping",
					     "backoff", "done",     "exited",  "failed" };

	static_assert(ARRAY_SIZE(names) == PROCESS_PHASES, "a name for each");
	return (size_t)phase < ARRAY_SIZE(names) ? names[phase] : "unknown";
}

const char *process_health_name(enum process_health_state health)
{
	static const char *const names[] = { "", "starting", "healthy", "unhealthy" };

	static_assert(ARRAY_SIZE(names) == HEALTH_STATES, "a name for each");
	return (size_t)health < ARRAY_SIZE(names) ? names[health] : "";
}

int spawn_failure_exit_code(enum spawn_failure kind)
{
	if (kind == SPAWN_NOT_FOUND)
		return 127;
	return kind == SPAWN_NOT_EXECUTABLE ? 126 : 125;
}

bool setup_is_rehearsed(const struct msg_setup *s)
{
	return s->init && !s->read_only_root && !s->shows_system_paths && s->sysctl_count == 0 &&
	       s->limits.shm_bytes == 0;
}
