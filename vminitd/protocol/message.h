/* SPDX-License-Identifier: MIT */
/* Every message between the guest's agent and its keeper, and between a client and the keeper. */
/*
 * The wire form is in message.c: one table of fields per message, from which pack, unpack and
 * release come. In structs filled by hand a NULL string means ""; an unpacked string is never NULL.
 * Strings hold no NUL byte.
 */
#ifndef CTRZ_VMINITD_PROTOCOL_MESSAGE_H
#define CTRZ_VMINITD_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "vminitd/protocol/credit.h"
#include "vminitd/protocol/frame.h"

enum { PROTOCOL_VERSION = 3 };

/* The stream of the container's main process; the keeper numbers the others from STREAM_FIRST_FREE.
 * Frames that are about no process carry a request id of the sender's choice instead, which the
 * answer repeats. */
enum { STREAM_NONE = 0, STREAM_MAIN = 1, STREAM_FIRST_FREE = 2 };
/* Streams the guest begins are numbered from here. */
#define STREAM_OF_GUEST UINT32_C(0x80000000)

/* Numbers are for ever: a new message gets a new one. A receiver answers an unknown type with
 * MSG_ERROR. */
enum msg_type {
	/* Starting. The guest speaks first; a host that joins later, or finds no answer, sends
	   MSG_SYNC. */
	MSG_SYNC = 1,  /* host, after a marker: struct msg_sync */
	MSG_HELLO = 2, /* guest, after a marker: struct msg_hello */
	MSG_SETUP = 3, /* host: struct msg_setup; answer MSG_DONE or MSG_ERROR */
	MSG_DONE = 4,  /* answer to a request that has nothing to tell; no payload */
	MSG_ERROR = 5, /* answer to a request that failed: struct msg_error */

	/* Processes; the frame's stream names the process. */
	MSG_SPAWN =
		16, /* host or client: struct msg_spawn; answer MSG_STARTED or MSG_SPAWN_FAILED */
	MSG_STARTED = 17,      /* struct msg_started */
	MSG_SPAWN_FAILED = 18, /* struct msg_spawn_failed; the stream is over */
	MSG_DATA = 19, /* bytes on the frame's channel, at most FRAME_DATA_MAX, paid with credit */
	MSG_END_OF_FILE = 20, /* no more data on the channel. From the guest on CHANNEL_STDIN:
				 nobody reads it any more */
	MSG_CREDIT = 21,      /* struct msg_credit for the channel */
	MSG_RESIZE = 22,      /* struct msg_resize */
	MSG_SIGNAL = 23,      /* struct msg_signal */
	MSG_EXITED = 24,      /* struct msg_exited; all output went before it; the stream is over */
	MSG_CANCEL = 25,      /* the client is gone: the process's pipes or terminal are closed (no
				 payload) */

	/* The machine. */
	MSG_LOG = 32,      /* guest: struct msg_log */
	MSG_SHUTDOWN = 33, /* host: struct msg_shutdown; ends in MSG_SHUTDOWN_DONE and power off */
	MSG_SHUTDOWN_DONE = 34, /* guest: disks are clean and unmounted; QEMU may be killed now */
	MSG_TIME = 35,          /* host: struct msg_time; answer MSG_DONE */
	MSG_TRIM = 36,        /* host, no payload: give free disk space back; answer MSG_TRIMMED */
	MSG_TRIMMED = 37,     /* struct msg_trimmed */
	MSG_ATTACH_DISK = 38, /* host: struct setup_disk (a volume); answer MSG_DONE or MSG_ERROR */
	MSG_ATTACH_SHARE = 39, /* host: struct setup_share */
	MSG_DETACH = 40,       /* host: struct msg_detach: unmount what is on a target */
	MSG_ATTACH_NIC = 41,   /* host: struct setup_nic */
	MSG_NAMES = 42,        /* host: struct msg_names: new resolv.conf and hosts */
	MSG_LIMITS = 43,       /* host: struct msg_limits */
	MSG_WRITE_FILE = 44,   /* host: struct msg_write_file */
	MSG_STATS = 45,        /* host, no payload; answer MSG_STATS_REPLY */
	MSG_STATS_REPLY = 46,  /* struct msg_stats */
	MSG_KILL = 47,   /* host: struct msg_kill; answer MSG_DONE once it is sent, or MSG_ERROR */
	MSG_FREEZE = 48, /* host: struct msg_freeze; answer MSG_DONE or MSG_ERROR */
	MSG_TOP = 49,    /* host, no payload; answer MSG_TOP_REPLY */
	MSG_TOP_REPLY = 50,        /* struct msg_top */
	MSG_KERNEL_LOG = 51,       /* host, no payload; answer MSG_KERNEL_LOG_REPLY */
	MSG_KERNEL_LOG_REPLY = 54, /* struct msg_kernel_log */
	MSG_DISKS = 55,            /* host: struct msg_disks; answer MSG_DONE or MSG_ERROR */
	MSG_ATTACH_TMPFS = 56,     /* host: struct setup_tmpfs; answer MSG_DONE or MSG_ERROR */
	MSG_GROW_DISK = 57, /* host: struct setup_disk: its file system is to fill its size_bytes */
	MSG_DETACH_NIC = 58, /* host: struct setup_nic, found by mac: it is about to go */
	MSG_PROBE = 52,      /* host: struct msg_probe; answer MSG_PROBED or MSG_ERROR */
	MSG_PROBED = 53,     /* struct msg_probed */
	MSG_TRACE = 59,      /* host, no payload: tell how long what follows takes, with the first
				MSG_STARTED; answer MSG_TRACED */
	MSG_TRACED = 63,     /* struct msg_traced */
	MSG_REHEARSE = 97,   /* host, no payload: this machine becomes a template; do what needs no
				container, and remember its devices. Answer MSG_DONE */
	MSG_PREPARE = 98,    /* host: struct msg_setup, of which disks, time and entropy count: this
				machine becomes the template of an image. Answer MSG_DONE or
				MSG_ERROR */
	MSG_FILTER = 60,     /* host: struct msg_filter; answer MSG_DONE or MSG_ERROR */
	MSG_ATTACH_SOCKET = 61, /* host: struct setup_socket; answer MSG_DONE or MSG_ERROR */
	MSG_CONNECT =
		62, /* guest or host: struct msg_connect; the frame's stream is a connection: what
		       the guest's end writes is on CHANNEL_STDOUT, what it reads on
		       CHANNEL_STDIN. MSG_EXITED of the guest or MSG_CANCEL of the host ends it
		     */

	MSG_COPY = 96, /* host or client: struct msg_copy; then as after MSG_SPAWN, with frames of
			  copy.h in the data of one channel */

	/* Client to keeper only; MSG_SPAWN there is an exec, MSG_STATS passes through. */
	MSG_ATTACH = 64,       /* join STREAM_MAIN on this connection (no payload) */
	MSG_STATUS = 65,       /* no payload; answer MSG_STATUS_REPLY */
	MSG_STATUS_REPLY = 66, /* struct msg_status */
	MSG_STOP = 67,         /* struct msg_stop; answer MSG_DONE when the machine is off */
	MSG_KILL_PROCESS = 68, /* struct msg_kill_process; answer as MSG_KILL */
	MSG_PAUSE = 69,        /* struct msg_freeze; answer as MSG_FREEZE */
	MSG_CHANGE = 80, /* the last piece of a packed configuration (keeper_config.h): bring the
			    running machine to it; answer MSG_DONE or MSG_ERROR */
	MSG_CHANGE_PART = 81, /* a piece before it; no answer */
	MSG_GROW = 82,        /* struct msg_grow; answer MSG_DONE or MSG_ERROR */
	MSG_LEAVE = 83,       /* the process of this connection goes on without it (no payload) */
	MSG_WAIT = 73, /* struct msg_wait; answer MSG_DONE, or MSG_ERROR if it will not come true */
};

enum msg_channel { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_COUNT };

struct msg_sync {
	uint64_t nonce; /* not 0; the guest repeats it in its hello */
};

struct msg_hello {
	uint32_t version;
	uint64_t nonce;      /* of this boot of the guest */
	uint64_t host_nonce; /* of the MSG_SYNC this answers; 0 = spoken first */
	char *kernel_release;
	uint64_t monotonic_ms; /* since the kernel started */
	bool is_set_up;
	uint32_t main_pid; /* 0 = no main process */
};

struct msg_error {
	enum error_code code;
	char *text;
};

/* A raw disk, found by its virtio-blk serial. */
enum disk_role {
	DISK_LOWER, /* the image; always mounted read-only; the first one is the lowest */
	DISK_UPPER, /* the writable layer; without one it is a tmpfs */
	DISK_VOLUME,
	DISK_ROLES
};

/* What a mount does not allow, or does besides. */
enum setup_mount_flag {
	SETUP_NO_EXEC = 1 << 0,
	SETUP_WITH_SUID = 1 << 1, /* set-user-id bits mean something */
	SETUP_WITH_DEVICES = 1 << 2,
};

struct setup_disk {
	char *serial;
	enum disk_role role;
	char *target;  /* DISK_VOLUME: absolute path in the container, created as needed */
	char *subpath; /* DISK_VOLUME: folder of the disk that is mounted, created as needed; "" =
			  its root */
	char *fstype;  /* "" = ext4 */
	uint64_t size_bytes; /* waited for until it is at least this large; 0 = any size */
	bool read_only;
	uint32_t flags; /* DISK_VOLUME: enum setup_mount_flag */
};

struct setup_share {
	char *tag;
	char *target;    /* absolute path in the container, created as needed */
	char *file_name; /* "" = the folder itself, else only this file of it */
	bool read_only;
	uint32_t flags; /* enum setup_mount_flag */
};

struct setup_tmpfs {
	char *target;
	uint64_t size_bytes; /* 0 = half of the memory */
	uint32_t mode;       /* 0 = 1777 */
	bool read_only;
	uint32_t flags; /* enum setup_mount_flag */
};

/* A unix socket of the host that the container is to have. */
struct setup_socket {
	char *target;  /* absolute path in the container, created as needed */
	uint32_t mode; /* of the socket there */
};

struct msg_connect {
	char *target; /* of the guest: that of a setup_socket; of the host: of a socket in the
			 container */
};

struct setup_nic {
	uint8_t mac[6];
	uint8_t found_mac[6]; /* what the device has now, if that is another (a restored
				 placeholder); else zero */
	char *name;           /* wanted interface name; "" = as the kernel named it */
	uint32_t mtu;         /* 0 = as it is */
	char *address;        /* IPv4; "" = none */
	uint32_t prefix;
	char *gateway; /* IPv4; "" = no default route here */
	char *address6;
	uint32_t prefix6;
	char *gateway6;
};

struct setup_host {
	char *address;
	struct strlist names;
};

struct setup_sysctl {
	char *name; /* "net.core.somaxconn" */
	char *value;
};

struct msg_names {
	struct strlist dns_servers;
	struct strlist dns_search;
	struct strlist dns_options;
	struct setup_host *hosts; /* after localhost and the container's own name */
	size_t host_count;
};

struct msg_limits {
	uint64_t memory_bytes; /* 0 = no limit but the machine's memory */
	uint64_t pids;         /* 0 = no limit */
	uint32_t cpus;         /* how many of the machine's processors are used; 0 = all */
	uint64_t shm_bytes;    /* size of /dev/shm; 0 = half of the memory */
};

/* The disk with that serial has this size now, on the host too. */
struct msg_grow {
	char *serial;
	uint64_t size_bytes;
};

enum { SETUP_ENTROPY_MAX = 256, SETUP_MOUNTS_MAX = 256 };

struct msg_setup {
	uint32_t version; /* of the protocol */
	char *hostname;
	struct setup_disk *disks;
	size_t disk_count;
	bool read_only_root;
	bool init; /* process 1 of the container is a reaper of ours, not the main process */
	struct setup_share *shares;
	size_t share_count;
	struct setup_tmpfs *tmpfs;
	size_t tmpfs_count;
	struct setup_socket *sockets;
	size_t socket_count;
	struct setup_nic *nics;
	size_t nic_count;
	struct msg_names names;
	struct setup_sysctl *sysctls;
	size_t sysctl_count;
	uint8_t *entropy; /* from the host's getrandom(): at least 32 bytes; owned */
	size_t entropy_size;
	uint64_t unix_time_ns; /* 0 = leave the clock alone */
	struct msg_limits limits;
	uint32_t device_timeout_ms; /* how long devices may take to appear; 0 = 10 s */
	bool shows_system_paths;    /* nothing of /proc and /sys is hidden or read-only */
};

/** setup_is_rehearsed() - whether a machine that was made ready with MSG_PREPARE can become this
 * container: it has an init, a /dev/shm of the usual size, and a root like any other */
bool setup_is_rehearsed(const struct msg_setup *s);

struct spawn_rlimit {
	uint32_t resource;   /* RLIMIT_* of the guest's architecture */
	uint64_t soft, hard; /* UINT64_MAX = unlimited */
};

/* The container's default set, as a mask of 1 << CAP_*: what images are used to, and no more. */
#define CAPABILITIES_DEFAULT UINT64_C(0xa80425fb)

struct msg_spawn {
	struct strlist argv; /* argv[0] without a slash is looked up in the container's PATH */
	struct strlist env;  /* "NAME=value"; PATH, HOME and, with a terminal, TERM are added where
				missing */
	char *working_dir;   /* "" = "/"; created if missing */
	char *user; /* "", "name", "uid", "name:group", "uid:gid", ... looked up in the container */
	struct strlist groups; /* further groups by name or number */
	bool is_main; /* the container's process: its namespaces are made with it (or by init) */
	bool tty;
	bool stdin_open;        /* false: /dev/null */
	uint32_t rows, columns; /* of the terminal; 0 = 24 and 80 */
	struct spawn_rlimit *rlimits;
	size_t rlimit_count;
	bool set_capabilities; /* false: CAPABILITIES_DEFAULT */
	uint64_t capabilities;
	bool no_new_privileges;
	int32_t oom_score_adj;
	uint64_t ambient; /* of the capabilities: what a user other than root gets, too */
	bool is_filtered; /* the filter of MSG_FILTER holds for it */
};

enum { FILTER_INSTRUCTION_BYTES = 8, FILTER_BYTES_MAX = 4096 * FILTER_INSTRUCTION_BYTES };

/* Which system calls processes may make that start from now on and are filtered. */
struct msg_filter {
	uint8_t *program; /* array of struct sock_filter in the guest's byte order; owned */
	size_t program_size;
};

struct msg_started {
	uint32_t pid; /* in the guest's own numbering */
};

enum spawn_failure {
	SPAWN_NOT_FOUND,      /* no such program: exit code 127 */
	SPAWN_NOT_EXECUTABLE, /* exit code 126 */
	SPAWN_NO_USER,
	SPAWN_BAD_WORKING_DIR,
	SPAWN_NO_CONTAINER, /* not set up, or its main process is gone */
	SPAWN_INVALID,      /* the request itself */
	SPAWN_SYSTEM,       /* anything else */
	SPAWN_FAILURES
};

struct msg_spawn_failed {
	enum spawn_failure kind;
	char *text;
};

struct msg_credit {
	uint32_t bytes;
};

struct msg_resize {
	uint32_t rows, columns;
};

struct msg_signal {
	uint32_t signal;
};

struct kill_target {
	uint32_t stream;
};

/* -E_NOT_FOUND if none of them runs. */
struct msg_kill {
	uint32_t signal;
	struct kill_target *targets;
	size_t target_count;
};

struct msg_kill_process {
	uint32_t signal;
	char *process; /* "" = the main one, or all there are */
};

/* All processes of the container stand still, or go on. */
struct msg_freeze {
	bool is_frozen;
};

enum disks_action {
	DISKS_SYNC,   /* what was written reaches the host */
	DISKS_FREEZE, /* and nothing is written until they are thawed, which the agent does by
			 itself when its host is gone, or after FREEZE_MAX_MS */
	DISKS_THAW,
	DISKS_ACTIONS
};

enum { FREEZE_MAX_MS = 30 * 1000 };

struct msg_disks {
	enum disks_action action;
};

struct msg_exited {
	uint32_t code; /* exit code, or 128 + signal */
	bool oom_killed;
};

enum msg_log_level { MSG_LOG_ERROR, MSG_LOG_WARN, MSG_LOG_INFO, MSG_LOG_DEBUG, MSG_LOG_LEVELS };

struct msg_log {
	enum msg_log_level level;
	char *text;
};

struct msg_shutdown {
	uint32_t signal;   /* to the main process first; 0 = kill at once */
	uint32_t grace_ms; /* between that and SIGKILL */
};

struct msg_time {
	uint64_t unix_time_ns;
	uint8_t *entropy; /* may be empty; after a restore it must not be */
	size_t entropy_size;
};

struct msg_trimmed {
	uint64_t bytes;
};

struct msg_detach {
	char *target;
};

struct msg_write_file {
	char *path; /* absolute, in the container; folders are created */
	uint32_t mode, uid, gid;
	bool append;   /* a further piece of a file too large for one message */
	char *owner;   /* "name", "uid", "name:group", ... looked up in the container; "" = uid, gid
			*/
	char *link_at; /* absolute; a symbolic link to @path is made there, in the place of what is
			 there; "" = none */
	uint8_t *content;
	size_t content_size;
};

struct msg_stats {
	uint64_t memory_current, memory_peak, memory_limit; /* of the container; limit 0 = none */
	uint64_t oom_kills;
	uint64_t cpu_usage_us, cpu_user_us, cpu_system_us;
	uint64_t pids;
	uint64_t io_read_bytes, io_write_bytes;
	uint64_t net_received_bytes, net_sent_bytes;
	uint64_t machine_memory_total, machine_memory_available;
	uint64_t disk_total, disk_free; /* of the writable layer */
	uint64_t agent_resident_bytes;
};

enum { TRACED_MAX = 96, TRACED_NAME_MAX = 40 };

/* What the guest did, in microseconds of its CLOCK_MONOTONIC. */
struct traced_phase {
	char *name;
	bool is_process; /* of the container's process, before it is executed; else the agent's */
	uint64_t begin_us, end_us;
};

/* The two clocks are told from each other by when the question and this were sent and received. */
struct msg_traced {
	uint64_t received_us, sent_us;
	struct traced_phase *phases;
	size_t phase_count;
};

enum { TOP_ROWS_MAX = 1024, TOP_COMMAND_MAX = 160, KERNEL_LOG_MAX = 192 * 1024 };

/* A process of the container, by whatever started it. */
struct top_row {
	uint32_t pid, parent; /* as the container numbers them; 0 = outside of it */
	uint32_t uid;
	uint32_t state; /* the kernel's letter: 'R', 'S', ... */
	uint32_t threads;
	uint64_t cpu_ms, resident_bytes, age_ms;
	char *command; /* bytes of the container's choice, cut at TOP_COMMAND_MAX */
};

struct msg_top {
	struct top_row *rows;
	size_t row_count;
	uint32_t left_out; /* that there was no room for */
};

struct msg_kernel_log {
	uint8_t *text; /* the last of it, as the kernel formats it for syslog(2); owned */
	size_t text_size;
};

/* Addresses a probe may try, headers it may send, processes and needs a container may have, files
 * it may watch, patterns each of them may leave out. */
enum {
	PROBE_ADDRESSES_MAX = 16,
	PROBE_HEADERS_MAX = 64,
	PROCESSES_CONFIGURED_MAX = 128,
	WATCHES_MAX = 128,
	WATCH_IGNORE_MAX = 256
};

enum probe_kind { PROBE_NONE, PROBE_EXEC, PROBE_HTTP, PROBE_TCP, PROBE_KINDS };

/* One look at a port of the machine, from inside. PROBE_EXEC is a process, not this message. */
struct msg_probe {
	enum probe_kind kind;
	struct strlist addresses; /* IPv4, tried in turn until one accepts */
	uint32_t port;
	char *path;             /* PROBE_HTTP: what to ask for */
	struct strlist headers; /* "Name: value" */
	uint32_t status;        /* that means healthy; 0 = 200 to 399 */
	uint32_t timeout_ms;
};

struct msg_probed {
	bool is_healthy;
	char *text; /* what was seen */
};

struct process_health {
	struct msg_probe probe; /* kind PROBE_NONE = there is none */
	struct msg_spawn exec;  /* with PROBE_EXEC */
	uint32_t interval_ms, start_interval_ms, start_period_ms;
	uint32_t retries; /* failures in a row that make it unhealthy */
	bool restarts;    /* what is unhealthy is restarted */
};

enum process_restart {
	PROCESS_RESTART_NO,
	PROCESS_RESTART_ON_FAILURE,
	PROCESS_RESTART_ALWAYS,
	PROCESS_RESTARTS
};

enum process_condition { WHEN_STARTED, WHEN_HEALTHY, WHEN_DONE, WHEN_EXITED, WHEN_CONDITIONS };

struct process_need {
	char *name;
	enum process_condition condition;
};

/* One of several processes of a container. */
struct process_config {
	char *name;
	struct msg_spawn spawn;
	bool is_task; /* ends with 0 */
	struct process_need *needs;
	size_t need_count;
	struct process_health health;
	enum process_restart restart;
	uint32_t restart_max; /* 0 = no limit */
	uint32_t backoff_ms;  /* before the first restart; doubled each time */
	uint32_t stop_signal, stop_grace_ms;
};

/* A command of the life cycle; none if its argv is empty. */
struct process_hook {
	struct msg_spawn spawn;
	uint32_t timeout_ms;
};

enum watch_action { WATCH_RESTART, WATCH_SIGNAL, WATCH_EXEC, WATCH_ACTIONS };

/* What follows when a file or folder of the host has changed. */
struct process_watch {
	char *process;         /* "" = the container's command, or all its services */
	char *path;            /* absolute, on the host */
	struct strlist ignore; /* patterns of names that are not looked at */
	enum watch_action action;
	uint32_t signal;       /* with WATCH_SIGNAL */
	struct msg_spawn exec; /* with WATCH_EXEC */
};

/* What a keeper looks after in a running container, besides its main process. */
struct msg_supervise {
	struct process_config *processes; /* started as their needs come true */
	size_t process_count;
	struct process_health health;            /* of the container */
	struct process_hook create, start, stop; /* before anything else, and before the end */
	enum process_restart restart;            /* of the machine */
	uint32_t restart_max, backoff_ms;        /* of the machine; 0 = no limit, default */
	uint32_t stop_signal, stop_grace_ms;     /* of the main process; 0 = as the stop says */
	uint64_t log_max_bytes;                  /* 0 = default */
	uint32_t log_files;                      /* 0 = default */
	struct process_watch *watches;
	size_t watch_count;
};

enum wait_until {
	WAIT_STARTED, /* everything has been started once */
	WAIT_READY,   /* and is healthy; tasks are done */
	WAIT_ENDS
};

struct msg_wait {
	enum wait_until until;
};

enum process_phase {
	PROCESS_WAITING, /* for its needs */
	PROCESS_STARTING,
	PROCESS_RUNNING,
	PROCESS_STOPPING,
	PROCESS_BACKOFF, /* waits for its next try */
	PROCESS_DONE,    /* a task that exited 0 */
	PROCESS_EXITED,  /* and is not restarted */
	PROCESS_FAILED,  /* could not be started, or a task that did not exit 0 */
	PROCESS_PHASES
};

enum process_health_state {
	HEALTH_NONE, /* no probe */
	HEALTH_STARTING,
	HEALTH_HEALTHY,
	HEALTH_UNHEALTHY,
	HEALTH_STATES
};

struct status_process {
	char *name;
	enum process_phase phase;
	enum process_health_state health;
	bool is_task;
	uint32_t pid;      /* in the guest; 0 = none */
	int32_t exit_code; /* last one; -1 = none */
	uint32_t restarts;
	uint64_t started_unix_ms;
	char *text; /* why it failed, or what its probe saw last */
};

struct msg_status {
	uint32_t phase; /* enum machine_phase */
	uint32_t keeper_pid, qemu_pid;
	int32_t exit_code; /* of the last main process; -1 = none known */
	bool oom_killed;
	uint32_t restarts;
	uint64_t started_unix_ms, exited_unix_ms;
	uint64_t memory_bytes, max_memory_bytes; /* it has; it can have while it runs */
	char *error;                             /* "" = none */
	uint32_t cpus, max_cpus;                 /* likewise */
	uint32_t free_ports;                     /* devices that can still be attached to it */
	bool is_half_changed; /* a change of the running machine failed half way */
	bool is_paused;
	enum process_health_state health; /* of the container and all its processes together */
	char *health_text;                /* what the container's own probe saw last */
	struct status_process *processes;
	size_t process_count;
};

enum copy_direction { COPY_TO_GUEST, COPY_FROM_GUEST, COPY_DIRECTIONS };

/* Files into or out of the container. */
struct msg_copy {
	enum copy_direction direction;
	char *path; /* in the container */
	char *name; /* COPY_TO_GUEST: see struct copy_target_options; likewise the next two */
	bool contents;
	bool keeps_owner;
	bool follows; /* COPY_FROM_GUEST: what a symbolic link at path leads to */
};

enum { COPY_ATTRIBUTES_MAX = 64, COPY_ATTRIBUTE_MAX = 32 * 1024 };

enum copy_kind {
	COPY_FILE,
	COPY_FOLDER,
	COPY_LINK,
	COPY_WITHIN, /* a folder that is made if it is missing, and else left as it is */
	COPY_OTHER,  /* is not copied */
	COPY_SAME,   /* another name of the file that was told with this number */
	COPY_KINDS
};

struct copy_attribute {
	char *name; /* "user.mime_type" */
	uint8_t *value;
	size_t value_size;
};

struct copy_entry {
	enum copy_kind kind;
	char *name;
	uint32_t mode, uid, gid;
	uint64_t size_bytes; /* of a file when it was opened */
	uint64_t mtime_s;    /* two's complement */
	uint32_t mtime_ns;
	char *link;    /* COPY_LINK: what it says */
	uint32_t same; /* of a file with several names, from 1 in the order they are told; 0 = it
			* has one
			*/
	struct copy_attribute *attributes; /* of a file or folder */
	size_t attribute_count;
};

struct msg_stop {
	uint32_t signal;
	uint32_t grace_ms;
};

/*
 * For each message and shared struct:
 *  X_pack() - append the wire form to @out; -E_INVALID if a bound is exceeded (@out is as before)
 *  X_unpack() - the other way; *ret is written only on success and owned by the caller;
 *-E_INTEGRITY for bytes that are not exactly one such message X_copy() - a deep copy into *ret,
 *which is overwritten X_release() - free what it owns and empty it X_add() - append a whole frame
 *that carries it; -E_INVALID as X_pack()
 */
#define MESSAGE_DECLARE(name)                                                                    \
	int name##_pack(const struct name *m, struct buffer *out, struct error *err) MUST_CHECK; \
	int name##_unpack(const void *data, size_t size, struct name *ret, struct error *err)    \
		MUST_CHECK;                                                                      \
	void name##_copy(struct name *ret, const struct name *m);                                \
	void name##_release(struct name *m);                                                     \
	int name##_add(struct buffer *out, enum msg_type type, uint32_t stream,                  \
		       const struct name *m, struct error *err) MUST_CHECK;

MESSAGE_DECLARE(msg_sync)
MESSAGE_DECLARE(msg_hello)
MESSAGE_DECLARE(msg_error)
MESSAGE_DECLARE(msg_setup)
MESSAGE_DECLARE(msg_spawn)
MESSAGE_DECLARE(msg_filter)
MESSAGE_DECLARE(msg_started)
MESSAGE_DECLARE(msg_spawn_failed)
MESSAGE_DECLARE(msg_credit)
MESSAGE_DECLARE(msg_resize)
MESSAGE_DECLARE(msg_signal)
MESSAGE_DECLARE(msg_kill)
MESSAGE_DECLARE(msg_kill_process)
MESSAGE_DECLARE(msg_freeze)
MESSAGE_DECLARE(msg_disks)
MESSAGE_DECLARE(msg_exited)
MESSAGE_DECLARE(msg_log)
MESSAGE_DECLARE(msg_shutdown)
MESSAGE_DECLARE(msg_time)
MESSAGE_DECLARE(msg_trimmed)
MESSAGE_DECLARE(msg_detach)
MESSAGE_DECLARE(msg_names)
MESSAGE_DECLARE(msg_limits)
MESSAGE_DECLARE(msg_write_file)
MESSAGE_DECLARE(msg_stats)
MESSAGE_DECLARE(msg_top)
MESSAGE_DECLARE(msg_kernel_log)
MESSAGE_DECLARE(msg_status)
MESSAGE_DECLARE(msg_stop)
MESSAGE_DECLARE(msg_probe)
MESSAGE_DECLARE(msg_traced)
MESSAGE_DECLARE(msg_probed)
MESSAGE_DECLARE(msg_supervise)
MESSAGE_DECLARE(msg_wait)
MESSAGE_DECLARE(process_config)
MESSAGE_DECLARE(process_health)
MESSAGE_DECLARE(setup_disk)
MESSAGE_DECLARE(setup_share)
MESSAGE_DECLARE(setup_nic)
MESSAGE_DECLARE(setup_tmpfs)
MESSAGE_DECLARE(setup_socket)
MESSAGE_DECLARE(msg_connect)
MESSAGE_DECLARE(msg_grow)
MESSAGE_DECLARE(msg_copy)
MESSAGE_DECLARE(copy_entry)

/** message_add_empty() - a frame without payload (MSG_DONE, MSG_CANCEL, MSG_STATUS, ...) */
void message_add_empty(struct buffer *out, enum msg_type type, uint32_t stream);
/** message_add_data() - a MSG_DATA frame; @size is at most FRAME_DATA_MAX */
void message_add_data(struct buffer *out, uint32_t stream, enum msg_channel channel,
		      const void *data, size_t size);
/** message_add_read_data() - the same of at most @size bytes that @fd has. Return: as read(); no
 * frame unless it is more than 0 */
ssize_t message_add_read_data(struct buffer *out, uint32_t stream, enum msg_channel channel, int fd,
			      size_t size);
void message_add_end_of_file(struct buffer *out, uint32_t stream, enum msg_channel channel);
/** message_add_credit() - nothing if @bytes is 0, as credit_consumed() returns it */
void message_add_credit(struct buffer *out, uint32_t stream, enum msg_channel channel,
			uint32_t bytes);
/** message_add_error() - a MSG_ERROR frame with @code and @text (cut at 4096 bytes) */
void message_add_error(struct buffer *out, uint32_t request, enum error_code code,
		       const char *text);
/**
 * message_check_version() - of a MSG_HELLO or MSG_SETUP, whose first field it is in every version
 * @who: sent it: "the guest's agent"
 *
 * To be called before the message is unpacked: the rest may have another form.
 *
 * Return: 0, or -E_CONFLICT, which says what to do
 */
int message_check_version(const struct frame *f, const char *who, struct error *err) MUST_CHECK;
/** message_type_name() - "spawn-failed", ...; "unknown" for others */
const char *message_type_name(unsigned type);
/** process_phase_name() - "waiting", "running", ...; "unknown" for others */
const char *process_phase_name(enum process_phase phase);
/** process_health_name() - "starting", "healthy", "unhealthy"; "" for HEALTH_NONE */
const char *process_health_name(enum process_health_state health);
/** spawn_failure_exit_code() - 127, 126 or 125 (anything of ours), as other container tools have it
 */
int spawn_failure_exit_code(enum spawn_failure kind);

#endif
