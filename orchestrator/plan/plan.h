/* SPDX-License-Identifier: MIT */
/* The plan: from what is wanted and what was seen, the ordered actions that lead from one to the
 * other. Pure. */
#ifndef CTRZ_ORCHESTRATOR_PLAN_PLAN_H
#define CTRZ_ORCHESTRATOR_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json/json.h"
#include "orchestrator/plan/desired.h"
#include "orchestrator/plan/observed.h"

enum action_kind {
	ACTION_PULL,    /* get an image */
	ACTION_CREATE,  /* container, network */
	ACTION_START,   /* made, but not running */
	ACTION_RECORD,  /* nothing but the record changes */
	ACTION_UPDATE,  /* live */
	ACTION_PROCESS, /* the process is started again in the running machine */
	ACTION_REBOOT,  /* the machine stops and starts, its disk is kept */
	ACTION_REPLACE, /* new writable disk */
	ACTION_STOP,    /* the machine ends, its disk is kept */
	ACTION_DESTROY,
	ACTION_KINDS
};

enum object_kind {
	OBJECT_IMAGE,
	OBJECT_SECRET,
	OBJECT_NETWORK,
	OBJECT_VOLUME,
	OBJECT_CONTAINER,
	OBJECT_KINDS
};

struct action {
	enum action_kind kind;
	enum object_kind object;
	char *name;
	struct plan_change *changes; /* what differs; owned */
	size_t change_count;
	char *reason;          /* why, where no change says it; may be NULL */
	char *drift;           /* what was seen that nobody asked for; NULL = none */
	size_t process_count;  /* of a container */
	char *what;            /* of a pull or create: the image or subnet; may be NULL */
	struct source_pos pos; /* of the object; file is lent from the spec */
	size_t *after;         /* actions that must be done first */
	bool *early;           /* of each of them: that what it starts runs is enough */
	size_t after_count;
	bool stops_first; /* its machine ends before any action begins: it holds what others need to
			     let go of what it needs */
};

struct plan {
	char *environment;
	char *source; /* the file as people named it */
	uint64_t serial;
	struct action *actions; /* in an order that respects their needs, stable from run to run */
	size_t count;
	bool is_all;      /* nothing wanted was left out by a selection */
	size_t unchanged; /* containers with nothing to do */
	size_t container_count;
	char *resumes; /* "3 of 5 operations done by run 7 (interrupted 2m ago)", or NULL */
	uint64_t download_bytes;  /* of the images to pull whose size is known */
	size_t unsized_downloads; /* images to pull whose size is not */
	uint64_t memory_bytes;    /* of all wanted containers together */
	uint64_t host_memory_bytes, host_available_bytes; /* 0 = unknown */
};

#define AUTO_PLAN CLEANUP(plan_release) struct plan

void plan_release(struct plan *p);

/**
 * plan_make() - what is to be done
 *
 * The same input gives the same plan. Containers that the wanted state leaves out are destroyed,
 * unless it is a selection. Nothing is planned for what is as it should be.
 */
void plan_make(const struct desired *d, const struct observed *o, struct plan *ret);
/** plan_make_down() - all that is there goes, dependents first; @volumes: they and their data too
 */
void plan_make_down(const struct observed *o, bool volumes, struct plan *ret);
/** plan_loses_data() - the first action that destroys data nothing can make anew, or NULL */
const struct action *plan_loses_data(const struct plan *p);

/** plan_make_each() - one action of @kind on each of the named containers, or on all that were made
 * if @names is NULL or empty; those that are already so are left out. ACTION_STOP and ACTION_REBOOT
 * only */
void plan_make_each(const struct observed *o, enum action_kind kind, const struct strlist *names,
		    struct plan *ret);

/** plan_action() - the action on an object, or NULL */
const struct action *plan_action(const struct plan *p, enum object_kind object, const char *name);
/** plan_add_after() - action @index waits for action @need; @early: only until that has started
 * what it starts, ready or not */
void plan_add_after(struct plan *p, size_t index, size_t need, bool early);

/* How a plan is put into words. */
struct plan_style {
	bool color, unicode;
	uint64_t width; /* columns of a value before it is cut; 0 = 48 */
};

/** plan_print() - the plan for people, appended to @out; text from the spec is escaped */
void plan_print(const struct plan *p, const struct plan_style *style, struct buffer *out);
/** plan_summary() - "Plan: 1 to create, 2 live, ..." without a newline; "No changes." if there are
 * none; owned */
char *plan_summary(const struct plan *p);
/** plan_steps() - what is done to what and why, owned text: the same for the same steps, whenever
 * and however they are printed */
char *plan_steps(const struct plan *p);
/** plan_to_json() - owned */
struct json *plan_to_json(const struct plan *p);

const char *
action_kind_name(enum action_kind kind); /* "create", ... as in JSON, progress and journal */
const char *object_kind_name(enum object_kind kind); /* "network", ... */
/** action_symbol() - "+", "-/+", ... */
const char *action_symbol(enum action_kind kind, bool unicode);

#endif
