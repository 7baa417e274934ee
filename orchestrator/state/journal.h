/* SPDX-License-Identifier: MIT */
/* The journal of an apply: a line on disk before each action and after it. What it holds after a
 * crash is what may be half made. */
#ifndef CTRZ_ORCHESTRATOR_STATE_JOURNAL_H
#define CTRZ_ORCHESTRATOR_STATE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/host/host_paths.h"

struct journal;

enum journal_event { JOURNAL_BEGIN, JOURNAL_DONE, JOURNAL_FAILED, JOURNAL_UNDONE, JOURNAL_EVENTS };

/** journal_start() - a fresh journal for run @run of @total actions by @command; an old one is
 * replaced */
int journal_start(const struct host_paths *paths, const char *id, uint64_t run, size_t total,
		  const char *command, struct journal **ret, struct error *err) MUST_CHECK;
/** journal_note() - append and sync one event of action @action ("start"), object @object ("web")
 */
int journal_note(struct journal *j, enum journal_event event, const char *action,
		 const char *object, struct error *err) MUST_CHECK;
/** journal_finish() - all is done: the file goes away */
int journal_finish(struct journal *j, struct error *err) MUST_CHECK;
/** journal_close() - leave the file for the next run to see */
void journal_close(struct journal *j);
DEFINE_CLEANUP(struct journal *, journal_close)

/* What a run that did not finish left. */
struct journal_rest {
	uint64_t run;
	size_t total, done;
	uint64_t last_unix_ms;
	char *open; /* owned "start web, start db": begun and neither done nor failed; NULL = none
		     */
};

void journal_rest_release(struct journal_rest *r);
/** journal_read() - Return: 0; -E_NOT_FOUND if the last run finished. A torn last line is ignored
 */
int journal_read(const struct host_paths *paths, const char *id, struct journal_rest *ret,
		 struct error *err) MUST_CHECK;

#endif
