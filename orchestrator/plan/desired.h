/* SPDX-License-Identifier: MIT */
/* What is wanted, reduced to what the planner needs: objects, their needs, and how each differs
 * from what was applied. */
#ifndef CTRZ_ORCHESTRATOR_PLAN_DESIRED_H
#define CTRZ_ORCHESTRATOR_PLAN_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* What a difference costs; ordered by cost. */
enum plan_class {
	PLAN_CLASS_NONE,
	PLAN_CLASS_LIVE,
	PLAN_CLASS_PROCESS,
	PLAN_CLASS_VM,
	PLAN_CLASS_RECREATE,
	PLAN_CLASS_DATA,
	PLAN_CLASSES
};

/* One field that differs. */
struct plan_change {
	char *field;           /* "ports", "resources.memory", "env.DEBUG" */
	char *old_text;        /* NULL = was not there */
	char *new_text;        /* NULL = is not there any more */
	enum plan_class class; /* what it costs here and now */
	struct source_pos pos; /* file is lent from the spec */
};

struct desired_network {
	char *name;
	char *subnet; /* as text; NULL = chosen by us */
	struct source_pos pos;
	struct plan_change *changes; /* against what was applied; owned */
	size_t change_count;
};

/* A secret that ctrz keeps itself and does not have yet. */
struct desired_secret {
	char *name;
	char *what; /* how it is made */
	struct source_pos pos;
};

struct desired_volume {
	char *name;
	uint64_t size_bytes;
	bool protect;
	struct source_pos pos, size_pos, protect_pos;
};

struct desired_container {
	char *name;
	struct source_pos pos;
	bool selected;      /* false: leave it as it is */
	char *image;        /* as written */
	char *image_pinned; /* the same with the digest that a lock gives it; NULL = none does */
	char *image_digest; /* what it is to be made of; NULL = nobody was asked */
	bool image_is_here; /* that is on this host */
	bool download_known;
	uint64_t download_bytes; /* of what is not here */
	uint64_t memory_bytes;
	unsigned cpus;
	size_t process_count;
	size_t device_count; /* NICs, shares and volumes */
	bool restart_always;
	struct strlist networks;
	struct strlist volumes;
	struct strlist depends_on;
	struct strlist depends_started; /* those of them that need not be ready */
	bool may_fail;                  /* somebody waits for its end, however it ends */
	struct strlist secrets;
	struct strlist host_ports; /* "127.0.0.1:8080/tcp": no two may hold one */
	struct plan_change
		*changes; /* against what was applied, the image's digest and kernel apart; owned */
	size_t change_count;
};

struct desired {
	char *environment;
	char *source;
	char *kernel;                     /* name of the kernel in use; NULL = unknown */
	bool is_selection;                /* only some containers were named: no orphans */
	struct desired_network *networks; /* by name */
	size_t network_count;
	struct desired_secret *secrets; /* by name */
	size_t secret_count;
	struct desired_volume *volumes; /* by name; those that a container mounts */
	size_t volume_count;
	struct desired_container *containers; /* by name */
	size_t container_count;
};

#define AUTO_DESIRED CLEANUP(desired_release) struct desired

void desired_release(struct desired *d);
void plan_change_release(struct plan_change *c);
void plan_change_copy(struct plan_change *dst, const struct plan_change *src);
/** desired_image() - the name by which its image is got; lent */
const char *desired_image(const struct desired_container *c);
/** plan_changes_release() - a whole array of them */
void plan_changes_release(struct plan_change *changes, size_t count);

#endif
