/* SPDX-License-Identifier: MIT */
/* Progress of several objects at once on stderr: redrawn on a terminal, a line per change
 * elsewhere, or JSON lines. */
#ifndef CTRZ_ORCHESTRATOR_CLI_PROGRESS_H
#define CTRZ_ORCHESTRATOR_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

enum progress_mode { PROGRESS_TTY, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_QUIET };

enum progress_state {
	STATE_WAITING,
	STATE_RUNNING,
	STATE_DONE,
	STATE_FAILED,
	STATE_SKIPPED,
	STATE_COUNT
};

struct progress;

struct progress_options {
	const char *title; /* "up"; lent */
	enum progress_mode mode;
	bool color, unicode;
	int fd; /* where it goes; lent */
};

/** progress_mode_parse() - "auto" (tty or plain by @tty), "tty", "plain", "json", "quiet"; NULL is
 * auto. Return: 0 or -E_INVALID */
int progress_mode_parse(const char *text, bool tty, enum progress_mode *ret,
			struct error *err) MUST_CHECK;

/** progress_new() - on a terminal the cursor is hidden until progress_free() or the end of the
 * process */
struct progress *progress_new(const struct progress_options *o);
void progress_free(struct progress *p);
DEFINE_CLEANUP(struct progress *, progress_free)

/** progress_add() - an object and what is done to it, "web", "start"; both are copied. Return: its
 * index */
size_t progress_add(struct progress *p, const char *object, const char *action);
/** progress_set() - its state changed; @note ("4.2 s", "exited with 1", NULL) follows it; escaped
 */
void progress_set(struct progress *p, size_t index, enum progress_state state, const char *note);
/** progress_detail() - what it is busy with; shown on a terminal only. @total 0 = unknown */
void progress_detail(struct progress *p, size_t index, const char *text, uint64_t current,
		     uint64_t total);
/** progress_transfer() - how many bytes of it are done; a terminal gets a bar, the rate and the
 * time left, JSON an event a second. @total 0 = unknown */
void progress_transfer(struct progress *p, size_t index, uint64_t current, uint64_t total);
/** progress_tick() - redraw timers; call a few times a second */
void progress_tick(struct progress *p);
/** progress_line() - a line of text above the objects, as it is in every mode but quiet; escaped */
void progress_line(struct progress *p, const char *text);

#endif
