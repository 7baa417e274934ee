/* SPDX-License-Identifier: MIT */
/* What was seen: records and the facts about processes, as plain data. */
#ifndef CTRZ_ORCHESTRATOR_PLAN_OBSERVED_H
#define CTRZ_ORCHESTRATOR_PLAN_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/text.h"

enum observed_phase {
	SEEN_ABSENT,
	SEEN_STARTING,
	SEEN_RUNNING,
	SEEN_STOPPING,
	SEEN_RESTARTING, /* waits for its next try by its restart policy */
	SEEN_EXITED,
	SEEN_PHASES
};

enum observed_stage { SEEN_NOT_MADE, SEEN_HALF_MADE, SEEN_MADE, SEEN_STAGES };

struct observed_network {
	char *name;
	bool applied; /* false: only its subnet is kept */
	bool running; /* its switch */
};

struct observed_volume {
	char *name;
	bool there; /* its disk */
	uint64_t size_bytes;
	bool protect;
};

struct observed_container {
	char *name;
	enum observed_stage stage;
	bool stopped; /* on request */
	enum observed_phase phase;
	int exit_code; /* -1 = none known */
	bool oom_killed;
	uint64_t exited_unix_ms; /* 0 = unknown */
	char *error;             /* why it ended; may be NULL */
	char *trouble;           /* it runs, but not as it should; NULL = as it should */
	bool trouble_is_process; /* of which a process has to be started again */
	char *image;             /* as it was written when applied */
	char *image_digest;
	char *kernel;
	/* The machine that runs can have; 0 = not known. */
	uint64_t max_memory_bytes;
	unsigned max_cpus;
	bool knows_ports;
	size_t free_ports;
	bool is_half_changed; /* a live change failed half way */
	size_t device_count;  /* as applied */
	struct strlist networks, volumes, depends_on, host_ports; /* as applied */
};

struct observed {
	char *environment;
	char *source;
	uint64_t serial;
	uint64_t now_unix_ms;
	struct observed_network *networks; /* by name */
	size_t network_count;
	struct observed_volume *volumes; /* by name */
	size_t volume_count;
	struct observed_container *containers; /* by name */
	size_t container_count;
	/* A run that did not finish; run 0 = none. */
	uint64_t interrupted_run, interrupted_unix_ms;
	size_t interrupted_done, interrupted_total;
	uint64_t host_memory_bytes, host_available_bytes; /* 0 = unknown */
};

#define AUTO_OBSERVED CLEANUP(observed_release) struct observed

void observed_release(struct observed *o);
const struct observed_container *observed_container(const struct observed *o, const char *name);
const struct observed_network *observed_network(const struct observed *o, const char *name);
const struct observed_volume *observed_volume(const struct observed *o, const char *name);

#endif
