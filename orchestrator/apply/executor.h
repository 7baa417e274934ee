/* SPDX-License-Identifier: MIT */
/* Runs a graph of jobs, each in a process of its own, at most so many at a time. Knows nothing of
 * what they do. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_EXECUTOR_H
#define CTRZ_ORCHESTRATOR_APPLY_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json/json.h"

enum job_state {
	JOB_WAITING,
	JOB_RUNNING,
	JOB_DONE,
	JOB_FAILED,
	JOB_SKIPPED, /* something it needs failed, or the run was interrupted before it began */
	JOB_STATES
};

/* One node. */
struct job {
	const size_t *after; /* jobs that must be done first; lent */
	const bool *early;   /* of each of them: that it has come half way is enough; lent */
	size_t after_count;
	bool is_half_way;              /* written by executor_run() */
	enum job_state state;          /* written by executor_run() */
	uint64_t started_ms, ended_ms; /* CLOCK_MONOTONIC */
};

struct job_channel;

/** job_progress() - in a job: send an event to the parent's progress function; takes @event */
void job_progress(struct job_channel *channel, struct json *event);

/** job_half_way() - in a job: what needs no more than this of it may begin */
void job_half_way(struct job_channel *channel);

struct executor_ops {
	/* In the parent, before the job's process is made; a failure fails the job. */
	int (*begin)(void *arg, size_t index, struct error *err);
	/* In the job's own process: do it. *ret_result (may stay NULL) goes to the parent. */
	int (*run)(void *arg, size_t index, struct job_channel *channel, struct json **ret_result,
		   struct error *err);
	/* In the parent: an event sent by job_progress(); may be NULL. */
	void (*progress)(void *arg, size_t index, const struct json *event);
	/* In the parent, after each job that ran or was skipped. @result may be NULL; @failure is
	 * empty unless the state is JOB_FAILED. A failure here fails the job. */
	int (*end)(void *arg, size_t index, enum job_state state, const struct json *result,
		   const struct error *failure, struct error *err);
	/* In the parent, on SIGINT or SIGTERM: 1 = begin nothing new, 2 = the running jobs are
	 * killed; may be NULL. */
	void (*interrupted)(void *arg, unsigned times);
	/* In the parent, about ten times a second while jobs run; may be NULL. */
	void (*tick)(void *arg);
	/* After a failure nothing new begins; else what does not need the failed goes on. */
	bool fail_fast;
};

struct executor_result {
	size_t done, failed, skipped;
	bool interrupted;
};

/**
 * executor_run() - run all jobs in an order that respects their needs
 * @jobs: without cycles; states are written
 * @bound: how many may run at a time, at least 1
 *
 * A job is a process, so that one that crashes, leaks or hangs in a library harms no other, that a
 * second Ctrl-C can end them all at once, and that no library below must be thread-safe. A job's
 * process leads a process group: a terminal's Ctrl-C does not reach it, and its own children end
 * with it.
 *
 * Return: 0 (see @ret for what failed), or -code if the executor itself could not work
 */
int executor_run(struct job *jobs, size_t count, unsigned bound, const struct executor_ops *ops,
		 void *arg, struct executor_result *ret, struct error *err) MUST_CHECK;

#endif
