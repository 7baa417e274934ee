/* SPDX-License-Identifier: MIT */
/* One virtual machine with its keeper: what the orchestrator starts, watches and stops. */
#ifndef CTRZ_RUNTIME_MACHINE_MACHINE_H
#define CTRZ_RUNTIME_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"
#include "vminitd/protocol/message.h"

/* What the kernels of the last boots said, in state_dir/boot.log.1 (the last one that ended) and so
 * on. */
enum { MACHINE_BOOT_LOGS = 3 };

/* A raw disk; becomes /dev/disk "serial" in the guest (virtio-blk serial, at most 20 bytes). */
struct machine_disk {
	char *serial;
	char *path;
	bool read_only;
	char *empty; /* which kind of empty disk it is, among which one is as good as another; NULL
			or "" = it may hold something */
};

/* A NIC on a port of a network's switch: switch_add_port() made @port_dir, which holds the two
 * datagram sockets. */
struct machine_nic {
	char *id; /* "net0", ... */
	char *port_dir;
	uint8_t mac[6];
	uint32_t mtu;
};

/* A host folder offered to the guest by virtiofsd under @tag. */
struct machine_share {
	char *tag;
	char *source;      /* absolute host path; a folder or one file */
	bool read_only;    /* enforced on the host side */
	bool git_writable; /* false: an existing .git of a read-write share is read-only from inside
			    */
};

/* Pieces of files at most; each is one message. */
enum { MACHINE_FILES_MAX = 4096 };

enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

/* A unix socket that leads from the container to the host, or the other way. */
struct machine_socket {
	char *host_path;
	char *target; /* in the container */
	bool is_out;  /* the container listens on target, we on host_path */
};

struct machine_config {
	char *name;      /* of the container, for messages and logs */
	char *run_dir;   /* short; keeper.sock, ports/, ...: made by machine_start(), removed by the
			    keeper at its end */
	char *state_dir; /* survives: log, status.json, keeper.log */
	char *events;    /* the event log to write changes of phase to; NULL = none */
	char *kernel;    /* vmlinux */
	char *initrd;
	char *kernel_args; /* appended; may be NULL */
	unsigned cpus;
	uint64_t memory_bytes;
	struct machine_disk *disks;
	size_t disk_count;
	struct machine_nic *nics;
	size_t nic_count;
	struct machine_share *shares;
	size_t share_count;
	struct machine_socket *sockets;
	size_t socket_count;
	struct msg_setup
		setup; /* the whole guest configuration, sent once the guest has said hello */
	struct msg_spawn main; /* the container's process; argv empty = it has several, or none */
	struct msg_supervise supervise; /* several processes, probes, hooks */
	struct msg_write_file *files;   /* put into the container before its process starts; a
					   large one in several pieces, in order */
	size_t file_count;
	bool is_filtered;      /* its processes' system calls, by syscall_filter.h */
	uint64_t capabilities; /* that the filter makes room for: 1 << CAP_* */
	enum restart_policy restart;
	bool cold;     /* boot, instead of starting from a template */
	bool attached; /* `ctrz run`: stop the machine as soon as the starter's connection closes */
	uint64_t start_timeout_ms; /* exec of QEMU to container started; 0 = default */
	uint64_t log_max_bytes;    /* rotate the log at this size; 0 = default */
	unsigned log_files;        /* rotated files kept; 0 = default */
};

void machine_config_release(struct machine_config *c);
/** machine_file_release() - the content is wiped: it may be a secret */
void machine_file_release(struct msg_write_file *f);

enum machine_phase {
	MACHINE_ABSENT, /* no keeper */
	MACHINE_STARTING,
	MACHINE_RUNNING, /* the main process runs */
	MACHINE_STOPPING,
	MACHINE_RESTARTING, /* waits for the next try */
	MACHINE_EXITED,     /* keeper gone or about to go; exit_code says how it ended */
	MACHINE_PHASES
};

struct machine_status {
	enum machine_phase phase;
	pid_t keeper_pid, qemu_pid; /* 0 = none */
	int exit_code; /* last end of the main process: code, 128 + signal; -1 = none known */
	bool oom_killed;
	unsigned restarts;
	uint64_t started_unix_ms, exited_unix_ms;
	uint64_t memory_bytes;     /* the VM's RAM */
	uint64_t max_memory_bytes; /* it can have while it runs; 0 = not running, as below */
	unsigned cpus, max_cpus;   /* it has; it can have */
	unsigned free_ports;       /* devices that can still be attached while it runs */
	bool is_half_changed; /* a machine_change() failed half way; only a new start mends that */
	bool is_paused;       /* it runs, but its processes stand still */
	char *error;          /* owned; why it ended, if it did not end by itself; may be NULL */
	enum process_health_state health; /* of the container and all its processes together */
	char *health_text;                /* owned; what its own probe saw last; may be NULL */
	struct status_process *processes; /* owned; of several */
	size_t process_count;
};

void machine_status_release(struct machine_status *s);

/**
 * machine_start() - start a keeper for @c and wait until the container's process runs
 *
 * On failure everything is undone and @err carries the guest's or QEMU's own last words.
 * @ret_sock: if not NULL, receives the connection of an attached start (its stdin/stdout/stderr
 *frames; see runtime/guest/session.h); owned by the caller
 *
 * Return: 0, -E_NOT_FOUND (command not in the image, no QEMU, no kernel), -E_TIMEOUT, -E_CONFLICT
 *(already running), ...
 */
int machine_start(const struct machine_config *c, int *ret_sock, struct error *err) MUST_CHECK;

/** machine_observe() - status from keeper lock, socket and status.json; never blocks over 1 s; a
 * dead keeper is ABSENT or EXITED with what status.json remembers */
int machine_observe(const char *run_dir, const char *state_dir, struct machine_status *ret,
		    struct error *err) MUST_CHECK;

/** machine_stop() - signal the main process, give it @grace_ms, power off, wait until the keeper is
 * gone and nothing of it is left; no machine is fine. A keeper that was killed is cleaned up after
 * here. */
int machine_stop(const char *run_dir, const char *state_dir, int sig, uint64_t grace_ms,
		 struct error *err) MUST_CHECK;

/** machine_kill() - send a signal to one of several processes, or with "" to the main one and all
 * others. Return: 0 once it is sent; -E_NOT_FOUND if that one does not run, or the machine */
int machine_kill(const char *run_dir, int sig, const char *process, struct error *err) MUST_CHECK;

/** machine_pause() - let all processes of the container stand still, or go on. Return: 0;
 * -E_CONFLICT if it is so already; -E_NOT_FOUND if it does not run */
int machine_pause(const char *run_dir, bool is_paused, struct error *err) MUST_CHECK;

/** machine_stats() - figures of a running container, told by its guest. Return: 0; -E_NOT_FOUND if
 * it does not run; -E_TIMEOUT, ... */
int machine_stats(const char *run_dir, struct msg_stats *ret, struct error *err) MUST_CHECK;
/** machine_top() - its processes; released by the caller. Return: as machine_stats() */
int machine_top(const char *run_dir, struct msg_top *ret, struct error *err) MUST_CHECK;
/** machine_kernel_log() - what its kernel has said; released by the caller. Return: as
 * machine_stats() */
int machine_kernel_log(const char *run_dir, struct msg_kernel_log *ret,
		       struct error *err) MUST_CHECK;

/** machine_trim() - give the free space of its disks back. *ret_bytes is how much was told. Return:
 * as machine_stats() */
int machine_trim(const char *run_dir, uint64_t *ret_bytes, struct error *err) MUST_CHECK;
/** machine_disks() - write back, freeze or thaw its disks; what is frozen is thawed after
 * FREEZE_MAX_MS by itself. Return: as machine_stats(); -E_CONFLICT if they are, or are not, frozen
 */
int machine_disks(const char *run_dir, enum disks_action action, struct error *err) MUST_CHECK;

/** machine_wait() - until everything in it has been started, or is ready; as long as that takes,
 * for every probe and hook ends. Return: 0; -E_UNAVAILABLE with what failed; another -code */
int machine_wait(const char *run_dir, const char *state_dir, enum wait_until until,
		 struct error *err) MUST_CHECK;

/** machine_wait_end() - until it has ended. @ret: as machine_observe() */
int machine_wait_end(const char *run_dir, const char *state_dir, struct machine_status *ret,
		     struct error *err) MUST_CHECK;

/**
 * machine_change() - bring a running machine to @c without stopping it
 *
 * Disks, NICs and shares come and go, mounts follow, files are written, names and limits are set;
 * processes that read a file that is another now start again. Memory and
 * processors can be lowered, and raised to what it was started with. What concerns its main process
 * is for its next start. Return: 0; -E_NOT_FOUND if it is not running; -E_CONFLICT if a mount is in
 * use; -E_UNAVAILABLE if no port is left for a device; -E_TIMEOUT, ...: it may then be half way,
 * and should be started anew
 */
int machine_change(const struct machine_config *c, struct error *err) MUST_CHECK;

/** machine_grow_disk() - a disk's file has grown to @bytes: let guest and file system follow.
 * Return: as machine_change() */
int machine_grow_disk(const char *run_dir, const char *serial, uint64_t bytes,
		      struct error *err) MUST_CHECK;

/** machine_exec() - start a process in a running machine. *ret_sock: the session
 * (runtime/guest/session.h). Return: 0; -E_NOT_FOUND if the machine is not running or the command
 * is not there; -E_DENIED not executable */
int machine_exec(const char *run_dir, const struct msg_spawn *spawn, int *ret_sock,
		 struct error *err) MUST_CHECK;

/** machine_copy() - files into or out of a running container: *ret_sock is for
 * runtime/guest/copy.h. Return: 0; -E_NOT_FOUND if it does not run; ... */
int machine_copy(const char *run_dir, const struct msg_copy *m, int *ret_sock,
		 struct error *err) MUST_CHECK;

/** machine_attach() - join the main process: *ret_sock as of machine_exec(). Closing it leaves the
 * process alone. Return: 0; -E_NOT_FOUND if it does not run; -E_INVALID if somebody is attached */
int machine_attach(const char *run_dir, int *ret_sock, struct error *err) MUST_CHECK;

/** keeper_main() - the hidden command "ctrz __keeper": reads its config from descriptor 3. Return:
 * exit code */
int keeper_main(int argc, char **argv);

#endif
