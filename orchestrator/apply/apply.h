/* SPDX-License-Identifier: MIT */
/* Carrying a plan out: journal, actions in parallel, records. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_APPLY_H
#define CTRZ_ORCHESTRATOR_APPLY_APPLY_H

#include "base/error.h"
#include "orchestrator/apply/executor.h"
#include "orchestrator/apply/world.h"
#include "orchestrator/plan/plan.h"

/* What a caller wants to know meanwhile; all may be NULL. */
struct apply_watcher {
	void *arg;
	/* Action @index begins (JOB_RUNNING) or ended; @failure is empty unless JOB_FAILED. */
	void (*state)(void *arg, size_t index, enum job_state state, const struct error *failure);
	/* Something people should know about action @index, which ended. */
	void (*note)(void *arg, size_t index, const char *text);
	void (*detail)(void *arg, size_t index, const char *text, uint64_t current, uint64_t total);
	void (*interrupted)(void *arg, unsigned times);
	void (*tick)(void *arg);
};

struct apply_options {
	struct world *w;                  /* its record is changed and written */
	const struct plan *plan;          /* lent */
	const struct host_config *config; /* lent */
	const char *command;              /* "ctrz up", for the journal and the record */
	unsigned bound;                   /* actions at a time; 0 = by the number of processors */
	bool fail_fast;                   /* begin nothing more once something failed */
	bool keeps_orphan_records;        /* down: what is destroyed is still wanted later */
	struct apply_watcher watcher;
};

/**
 * apply_plan() - carry out all actions of a plan
 *
 * The environment's lock must be held. Records are on disk before an action begins and after it
 * ended, so that a run that is killed at any point is taken up by the next. Return: 0 (see @ret for
 * what failed), or -code if it could not begin
 */
int apply_plan(const struct apply_options *o, struct executor_result *ret,
	       struct error *err) MUST_CHECK;

/** apply_check() - what a plan needs of the host: QEMU, a kernel, virtiofsd, images that may not be
 * pulled. Changes nothing. Return: 0, or -E_NOT_FOUND with what to do */
int apply_check(const struct world *w, const struct plan *plan, struct error *err) MUST_CHECK;

/** apply_release() - let go of host ports that containers of the plan exchange */
int apply_release(struct world *w, const struct plan *plan, struct error *err) MUST_CHECK;

/** apply_prepare() - give networks subnets and containers addresses, and write the record */
int apply_prepare(struct world *w, const struct plan *plan, struct error *err) MUST_CHECK;

#endif
