/* SPDX-License-Identifier: MIT */
/* The typed model of an environment: what env.yaml says, with defaults filled in and a place in the
 * file for every value. Everything in it is owned by the environment and lives as long as it. */
#ifndef CTRZ_SPEC_MODEL_ENVIRONMENT_H
#define CTRZ_SPEC_MODEL_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What every value starts with. pos.line is 0 for a value that comes from a built-in default;
 * is_set is false where there is no value at all (not given, no default). */
struct spec_value {
	struct source_pos pos;
	bool is_set;
	bool is_private;      /* read from an env_file or from the host: never printed in plans */
	bool is_broken;       /* an object with findings of its own: parts of it are not there */
	unsigned short width; /* code points on its line, for underlining; 0 = not known */
};

struct spec_text {
	struct spec_value at;
	const char *text; /* NULL unless at.is_set */
};

struct spec_flag {
	struct spec_value at;
	bool value;
};

/* Also sizes (bytes), durations (milliseconds), file modes and counts; the unit is in the name of
 * the member's comment. */
struct spec_number {
	struct spec_value at;
	int64_t value;
};

struct spec_choice {
	struct spec_value at;
	int value; /* of the enum named beside the member */
};

struct spec_texts {
	struct spec_value at;
	struct spec_text *items;
	size_t count;
};

/* A command: a list is executed as it is, a string by "/bin/sh -c". */
struct spec_command {
	struct spec_value at;
	bool is_shell; /* then items has the one string */
	struct spec_text *items;
	size_t count;
};

/* One entry of a map whose keys are free: env, labels, sysctls, ... */
struct spec_pair {
	const char *key;
	struct source_pos key_pos;
	struct spec_text value;
};

struct spec_pairs {
	struct spec_value at;
	struct spec_pair *items; /* sorted by key */
	size_t count;
};

/* What objects start with. name is the key in a map of objects (containers, processes, ...), NULL
 * for objects in lists and for single ones. at.pos is where the object's name or first value is. */
struct spec_object {
	struct spec_value at;
	const char *name;
};

struct spec_var {
	struct spec_object o;
	struct spec_text fallback; /* "default" */
	struct spec_text env;      /* name of the host's variable it may be read from */
	struct spec_text description;
};

enum spec_format { SPEC_FORMAT_HEX, SPEC_FORMAT_BASE64, SPEC_FORMAT_ALPHANUMERIC };

struct spec_generate {
	struct spec_object o;
	struct spec_number bytes;
	struct spec_choice format; /* enum spec_format */
};

/* Exactly one of env, file, generate, prompt is set. */
struct spec_secret {
	struct spec_object o;
	struct spec_text env;
	struct spec_text file; /* absolute */
	struct spec_generate generate;
	struct spec_flag prompt;
	struct spec_flag required;
	struct spec_text description;
	struct spec_text resolved; /* computed: what file led to, if that is elsewhere */
};

enum spec_egress { SPEC_EGRESS_FULL, SPEC_EGRESS_ENV, SPEC_EGRESS_NONE, SPEC_EGRESS_LIST };

struct spec_egress_rule {
	struct spec_object o;
	struct spec_choice mode; /* enum spec_egress */
	struct spec_texts to;    /* with SPEC_EGRESS_LIST: host[:port] or CIDR */
	struct spec_texts
		allow; /* private addresses allowed besides; shown before trust is given */
};

struct spec_network {
	struct spec_object o;    /* "default" is there if a container joins it */
	struct spec_text subnet; /* "10.77.0.0/24" */
	struct spec_egress_rule egress;
};

struct spec_volume {
	struct spec_object o;
	struct spec_number size; /* bytes */
	struct spec_flag protect;
};

struct spec_file {
	struct spec_object o;
	struct spec_text source; /* absolute */
	struct spec_text content;
	struct spec_text digest;   /* computed: "sha256:..." of the content, if it could be read */
	struct spec_text resolved; /* computed: what source led to, if that is elsewhere */
};

enum spec_mount_type {
	SPEC_MOUNT_DIR,
	SPEC_MOUNT_FILE,
	SPEC_MOUNT_VOLUME,
	SPEC_MOUNT_TMPFS,
	SPEC_MOUNT_IMAGE
};
enum spec_access { SPEC_ACCESS_RO, SPEC_ACCESS_RW };
enum spec_git { SPEC_GIT_RO, SPEC_GIT_HIDE, SPEC_GIT_RW };
enum spec_create { SPEC_CREATE_NONE, SPEC_CREATE_DIR, SPEC_CREATE_FILE };
enum spec_cache { SPEC_CACHE_AUTO, SPEC_CACHE_NONE, SPEC_CACHE_STRICT, SPEC_CACHE_LOOSE };

struct spec_mount {
	struct spec_object o;
	struct spec_choice type;   /* enum spec_mount_type */
	struct spec_text source;   /* absolute host path, volume name or image; not set for tmpfs */
	struct spec_text target;   /* absolute, clean */
	struct spec_choice access; /* enum spec_access */
	struct spec_text owner;
	struct spec_choice git; /* enum spec_git */
	struct spec_texts hide;
	struct spec_choice create; /* enum spec_create */
	struct spec_choice cache;  /* enum spec_cache */
	struct spec_flag notify;
	struct spec_text subpath;
	struct spec_number size; /* bytes, tmpfs */
	struct spec_flag optional;
	struct spec_flag noexec, nosuid, nodev;
};

enum spec_direction { SPEC_DIRECTION_IN, SPEC_DIRECTION_OUT };

/* What SSH_AUTH_SOCK names, in the place of a path. */
#define SPEC_SSH_AGENT "ssh-agent"

/* A unix socket that leads from one side to the other. */
struct spec_socket {
	struct spec_object o;
	struct spec_text host;        /* absolute, or SPEC_SSH_AGENT */
	struct spec_text target;      /* absolute, clean */
	struct spec_choice direction; /* enum spec_direction */
	struct spec_number mode;
};

enum spec_protocol { SPEC_PROTOCOL_TCP, SPEC_PROTOCOL_UDP };

/* One port; ranges of the file are taken apart. */
struct spec_port {
	struct spec_object o;
	struct spec_number host; /* 0 = a free one is chosen */
	struct spec_number container;
	struct spec_choice protocol; /* enum spec_protocol */
	struct spec_text address;    /* of the host; "127.0.0.1" by default */
	struct spec_text label;      /* "name" */
	struct spec_text open;       /* "http", "https": shown as a link */
};

enum spec_condition {
	SPEC_CONDITION_STARTED,
	SPEC_CONDITION_HEALTHY,
	SPEC_CONDITION_DONE,
	SPEC_CONDITION_EXITED
};

struct spec_dependency {
	struct spec_object o;         /* o.name: the container or process */
	struct spec_choice condition; /* enum spec_condition */
	struct spec_flag restart;
};

struct spec_dependencies {
	struct spec_value at;
	struct spec_dependency *items;
	size_t count;
};

struct spec_health_http {
	struct spec_object o;
	struct spec_number port;
	struct spec_text path;
	struct spec_choice scheme; /* 0 = http, 1 = https */
	struct spec_pairs headers;
	struct spec_number status; /* 0 = any of 200 to 399 */
};

struct spec_health_tcp {
	struct spec_object o;
	struct spec_number port;
};

enum spec_on_unhealthy { SPEC_UNHEALTHY_NONE, SPEC_UNHEALTHY_RESTART };

/* o.at.is_set false: no probe. At most one of exec, http, tcp, log_line, notify is set. */
struct spec_health {
	struct spec_object o;
	struct spec_command exec;
	struct spec_health_http http;
	struct spec_health_tcp tcp;
	struct spec_text log_line;
	struct spec_flag notify;
	struct spec_number interval, timeout; /* ms */
	struct spec_number retries;
	struct spec_number start_period, start_interval; /* ms */
	struct spec_choice on_unhealthy;                 /* enum spec_on_unhealthy */
};

enum spec_restart_policy { SPEC_RESTART_NO, SPEC_RESTART_ON_FAILURE, SPEC_RESTART_ALWAYS };

struct spec_restart {
	struct spec_object o;
	struct spec_choice policy;  /* enum spec_restart_policy */
	struct spec_number max;     /* 0 = no limit */
	struct spec_number backoff; /* ms, doubled each time */
};

struct spec_stop {
	struct spec_object o;
	struct spec_text signal;  /* "SIGTERM" */
	struct spec_number grace; /* ms */
};

enum spec_watch_action { SPEC_WATCH_RESTART, SPEC_WATCH_SIGNAL, SPEC_WATCH_EXEC };

struct spec_watch {
	struct spec_object o;
	struct spec_text path;     /* absolute */
	struct spec_choice action; /* enum spec_watch_action */
	struct spec_text signal;
	struct spec_command exec;
	struct spec_texts ignore;
};

struct spec_watches {
	struct spec_value at;
	struct spec_watch *items;
	size_t count;
};

enum spec_process_kind { SPEC_PROCESS_SERVICE, SPEC_PROCESS_TASK };

struct spec_process {
	struct spec_object o;
	struct spec_command command;
	struct spec_choice kind; /* enum spec_process_kind */
	struct spec_pairs env;
	struct spec_text user, working_dir;
	struct spec_dependencies depends_on; /* processes of the same container */
	struct spec_health health;
	struct spec_restart restart;
	struct spec_stop stop;
	struct spec_watches watch;
};

struct spec_hook {
	struct spec_object o;
	struct spec_command run;
	struct spec_number timeout; /* ms */
	struct spec_text user, working_dir;
};

struct spec_hooks {
	struct spec_object o;
	struct spec_hook create, start, stop;
};

struct spec_resources {
	struct spec_object o;
	struct spec_number cpus;
	struct spec_number memory; /* bytes */
	struct spec_number disk;   /* bytes of the writable disk */
	struct spec_number pids;
	struct spec_number shm; /* bytes of /dev/shm */
};

struct spec_logging {
	struct spec_object o;
	struct spec_number max_size; /* bytes */
	struct spec_number files;
};

struct spec_capabilities {
	struct spec_object o;
	struct spec_texts add, drop; /* "CAP_NET_ADMIN", "ALL" */
};

enum spec_seccomp { SPEC_SECCOMP_DEFAULT, SPEC_SECCOMP_UNCONFINED };
enum spec_system_paths { SPEC_PATHS_MASKED, SPEC_PATHS_VISIBLE };

struct spec_ulimit {
	struct spec_object o;          /* o.name: "nofile" */
	struct spec_number soft, hard; /* -1 = unlimited */
};

struct spec_kernel {
	struct spec_object o;
	struct spec_text cmdline;
};

struct spec_secret_ref {
	struct spec_object o;
	struct spec_text secret; /* "name" */
	struct spec_text target; /* absolute; /run/secrets/NAME by default unless env is set */
	struct spec_text env;    /* variable that gets the value */
	struct spec_number mode;
	struct spec_text owner;
};

struct spec_file_ref {
	struct spec_object o;
	struct spec_text file; /* "name" */
	struct spec_text target;
	struct spec_number mode;
	struct spec_text owner;
};

struct spec_attachment {
	struct spec_object o; /* o.name: the network */
	struct spec_text address;
	struct spec_texts aliases;
};

enum spec_pull { SPEC_PULL_MISSING, SPEC_PULL_ALWAYS, SPEC_PULL_NEVER };

struct spec_container {
	struct spec_object o;
	struct spec_text image;
	struct spec_choice pull; /* enum spec_pull */
	struct spec_text platform;
	struct spec_command command, entrypoint;
	struct spec_pairs env; /* env_file entries are merged in */
	struct spec_texts env_file;
	struct spec_text user, working_dir, hostname;
	struct spec_texts groups;
	struct spec_flag tty, stdin_open; /* "stdin" */
	struct spec_flag init;
	struct {
		struct spec_value at;
		struct spec_mount *items;
		size_t count;
	} mounts;
	struct {
		struct spec_value at;
		struct spec_socket *items;
		size_t count;
	} sockets;
	struct {
		struct spec_value at;
		struct spec_file_ref *items;
		size_t count;
	} files;
	struct {
		struct spec_value at;
		struct spec_secret_ref *items;
		size_t count;
	} secrets;
	struct {
		struct spec_value at;
		struct spec_attachment *items; /* sorted by name; never empty */
		size_t count;
	} networks;
	struct {
		struct spec_value at;
		struct spec_port *items;
		size_t count;
	} ports;
	struct spec_texts dns;
	struct spec_pairs hosts;
	struct spec_dependencies depends_on;
	struct spec_health health;
	struct {
		struct spec_value at;
		struct spec_process *items; /* sorted by name */
		size_t count;
	} processes;
	struct spec_hooks hooks;
	struct spec_restart restart;
	struct spec_stop stop;
	struct spec_resources resources;
	struct spec_flag read_only;
	struct {
		struct spec_value at;
		struct spec_ulimit *items;
		size_t count;
	} ulimits;
	struct spec_pairs sysctls;
	struct spec_capabilities capabilities;
	struct spec_choice seccomp; /* enum spec_seccomp */
	struct spec_flag no_new_privileges;
	struct spec_choice system_paths; /* enum spec_system_paths */
	struct spec_pairs labels;
	struct spec_logging logging;
	struct spec_texts profiles;
	struct spec_watches watch;
	struct spec_kernel kernel;
	bool is_active; /* has no profiles, or one of them was asked for */
};

struct spec_defaults {
	struct spec_object o;
	struct spec_choice pull;
	struct spec_text platform;
	struct spec_restart restart;
	struct spec_stop stop;
	struct spec_resources resources;
	struct spec_logging logging;
};

struct spec_arena;
struct spec_sources;

/* A file that was included from git. */
struct spec_pinned {
	struct spec_value at; /* of the include, which may be in an included file itself */
	const char *url;      /* canonical */
	const char *commit, *sha256;
};

/* A path of the host, and the same without links. */
struct spec_resolved {
	const char *path, *real;
};

struct spec_lock;

struct environment {
	struct spec_object o;  /* o.name: see below */
	struct spec_text name; /* always set: "name", or the folder's name */
	struct spec_text description, message, requires;
	struct {
		struct spec_value at;
		struct spec_var *items;
		size_t count;
	} vars;
	struct {
		struct spec_value at;
		struct spec_secret *items;
		size_t count;
	} secrets;
	struct spec_texts include;
	struct {
		struct spec_value at;
		struct spec_network *items; /* sorted by name */
		size_t count;
	} networks;
	struct {
		struct spec_value at;
		struct spec_volume *items; /* sorted by name */
		size_t count;
	} volumes;
	struct {
		struct spec_value at;
		struct spec_file *items; /* sorted by name */
		size_t count;
	} files;
	struct spec_defaults defaults; /* already applied to the containers */
	struct {
		struct spec_value at;
		struct spec_container *items; /* sorted by name; inactive ones too */
		size_t count;
	} containers;

	/* Computed: variables of the host whose value a container may get, sorted. Not those of
	 * secrets */
	struct spec_texts host_vars;
	/* Computed: what was included from git, and what it was */
	struct {
		struct spec_pinned *items;
		size_t count;
	} pinned;
	/* Computed: where files of the host led when they were looked at; by path */
	struct {
		struct spec_resolved *items;
		size_t count;
	} resolved;
	const struct spec_lock *lock; /* the file beside the spec (spec/lock.h); NULL = none */
	const char *file;             /* of the first spec file, as given; absolute folder in dir */
	const char *dir;
	struct spec_arena *arena;     /* owned: all of the above */
	struct spec_sources *sources; /* counted reference: the text of the files, for snippets */
};

/* Names of enum values as written in the file: spec_condition_name(SPEC_CONDITION_DONE) is "done".
 */
const char *spec_egress_name(enum spec_egress v);
const char *spec_mount_type_name(enum spec_mount_type v);
const char *spec_access_name(enum spec_access v);
const char *spec_protocol_name(enum spec_protocol v);
const char *spec_condition_name(enum spec_condition v);
const char *spec_restart_name(enum spec_restart_policy v);
const char *spec_pull_name(enum spec_pull v);

/** spec_container_mount() - what is mounted at a target; NULL if nothing is */
const struct spec_mount *spec_container_mount(const struct spec_container *c, const char *target);
/** environment_container() - by name; NULL if there is none. Likewise the others */
struct spec_container *environment_container(const struct environment *env, const char *name);
struct spec_network *environment_network(const struct environment *env, const char *name);
struct spec_volume *environment_volume(const struct environment *env, const char *name);
struct spec_file *environment_file(const struct environment *env, const char *name);
struct spec_secret *environment_secret(const struct environment *env, const char *name);
struct spec_process *container_process(const struct spec_container *c, const char *name);
/** spec_pairs_get() - the text of a key, or NULL */
const char *spec_pairs_get(const struct spec_pairs *p, const char *key);
/** environment_resolved() - where a path led when the spec was read; NULL if nobody looked */
const char *environment_resolved(const struct environment *env, const char *path);
/** spec_capability_mask() - 1 << the number of "CAP_CHOWN", "chown", ...; all for "ALL" */
uint64_t spec_capability_mask(const char *name);
/** spec_ulimit_number() - RLIMIT_*; -1 if there is none of that name */
int spec_ulimit_number(const char *name);
/** spec_signal_number() - "SIGTERM", "TERM" or "15"; 0 if there is no such signal */
int spec_signal_number(const char *name);
/** container_has_health() - whether it or one of its processes has a probe */
bool container_has_health(const struct spec_container *c);

#endif
