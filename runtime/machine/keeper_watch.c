/* SPDX-License-Identifier: MIT */
/* Files of the host whose changes restart, signal or run something in the container. */
/*
 * DOC: Theory of Operation
 *
 * One that saves a file writes several, and one that switches a branch writes thousands: a rule
 * waits until nothing has changed for a moment, but not for ever, and not more often than once a
 * second, as what it restarts may itself write there. Rules are made anew with each configuration.
 */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/host/event_log.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/tree_watch.h"

enum { QUIET_MS = 200, LONGEST_MS = 2000, APART_MS = 1000 };

struct rule {
	struct keeper *keeper;
	const struct process_watch *config; /* lent */
	struct loop_timer *timer;           /* to the moment it acts; NULL = nothing changed */
	char *path;                         /* what changed first; owned */
	uint64_t first_ms, acted_ms;
	struct relay *relay; /* of its command; NULL = it does not run */
	bool again;          /* something changed while it ran */
	struct log_lines lines;
};

struct watcher {
	struct tree_watch *tree;
	struct rule *rules;
	size_t count;
	char *failure; /* owned; why not all of it is watched; NULL = all is */
};

static void act(void *arg);

static void on_output(void *arg, enum log_stream stream, const void *data, size_t size)
{
	struct rule *rule = arg;

	keeper_log_write_as(&rule->keeper->log, &rule->lines, "watch", stream, data, size);
}

static void ended(struct rule *rule, const char *how)
{
	struct keeper *k = rule->keeper;

	rule->relay = NULL;
	keeper_log_end_lines(&k->log, &rule->lines, "watch");
	if (how)
		log_warn("the command for changes of '%s': %s", rule->config->path, how);
	if (rule->again && !rule->timer)
		rule->timer = loop_after(k->loop, 0, act, rule);
	rule->again = false;
}

static void on_exited(void *arg, const struct msg_exited *exited)
{
	AUTO_FREE char *how = xasprintf("exit code %u", exited->code & 0xff);

	ended(arg, exited->code ? how : NULL);
}

static void on_refused(void *arg, const char *text)
{
	AUTO_FREE char *shown = text_escaped(text);

	ended(arg, shown);
}

static void run_command(struct rule *rule)
{
	static const struct relay_owner owner = { .refused = on_refused,
						  .output = on_output,
						  .exited = on_exited };
	struct keeper *k = rule->keeper;
	uint32_t id = k->next_stream++;
	AUTO_ERROR err = ERROR_INIT;

	if (rule->relay) {
		rule->again = true;
		return;
	}
	if (msg_spawn_add(&k->guest_out, MSG_SPAWN, id, &rule->config->exec, &err) < 0) {
		error_ignore(&err, "run a command for a changed file");
		return;
	}
	rule->relay = relay_new(k, id, NULL);
	rule->relay->owner = &owner;
	rule->relay->owner_arg = rule;
}

static void tell(const struct rule *rule)
{
	static const char *const names[] = {
		[WATCH_RESTART] = "restart", [WATCH_SIGNAL] = "signal", [WATCH_EXEC] = "exec"
	};
	struct keeper *k = rule->keeper;
	struct json *event = event_new("watch", k->config.machine.name);

	if (*rule->config->process)
		json_set_string(event, "process", rule->config->process);
	json_set_string(event, "status", names[rule->config->action]);
	json_set_string(event, "reason", rule->path);
	event_log_add(k->config.machine.events, event);
}

static void act(void *arg)
{
	struct rule *rule = arg;
	struct keeper *k = rule->keeper;

	rule->timer = NULL;
	if (k->supervisor.is_going && !k->supervisor.is_stopping && !k->vm_is_over) {
		rule->acted_ms = clock_ms();
		tell(rule);
		switch (rule->config->action) {
		case WATCH_EXEC:
			run_command(rule);
			break;
		case WATCH_SIGNAL:
			supervise_signal(k, rule->config->process, rule->config->signal);
			break;
		case WATCH_RESTART:
		case WATCH_ACTIONS:
			supervise_restart(k, rule->config->process);
			break;
		}
	}
	free(rule->path);
	rule->path = NULL;
	keeper_flush(k);
}

static uint64_t delay_of(const struct rule *rule, uint64_t now)
{
	uint64_t latest = rule->first_ms + LONGEST_MS;
	uint64_t at = now + QUIET_MS < latest ? now + QUIET_MS : latest;
	uint64_t apart = rule->acted_ms ? rule->acted_ms + APART_MS : 0;

	at = at > apart ? at : apart;
	return at > now ? at - now : 0;
}

static void on_change(void *arg, size_t index, const char *path)
{
	struct keeper *k = arg;
	struct rule *rule = &k->watcher->rules[index];
	uint64_t now = clock_ms();

	if (!rule->path) {
		rule->path = xstrdup(path);
		rule->first_ms = now;
	}
	loop_cancel(k->loop, rule->timer);
	rule->timer = loop_after(k->loop, delay_of(rule, now), act, rule);
}

/* Its command, if any runs, goes on by itself. */
static void rule_stop(struct rule *rule)
{
	loop_cancel(rule->keeper->loop, rule->timer);
	rule->timer = NULL;
	if (rule->relay)
		rule->relay->owner = NULL;
	rule->relay = NULL;
	rule->again = false;
	keeper_log_end_lines(&rule->keeper->log, &rule->lines, "watch");
	free(rule->path);
	rule->path = NULL;
}

void watch_release(struct keeper *k)
{
	struct watcher *w = k->watcher;

	if (!w)
		return;
	for (size_t i = 0; i < w->count; i++) {
		rule_stop(&w->rules[i]);
		log_lines_release(&w->rules[i].lines);
	}
	tree_watch_free(w->tree);
	free(w->rules);
	free(w->failure);
	free(w);
	k->watcher = NULL;
}

void watch_reset(struct keeper *k)
{
	for (size_t i = 0; k->watcher && i < k->watcher->count; i++)
		rule_stop(&k->watcher->rules[i]);
}

/* The first one is what people are told. */
static void note_failure(struct watcher *w, struct error *err)
{
	log_warn("%s", error_message(err));
	if (!w->failure)
		w->failure = xstrdup(error_message(err));
	error_clear(err);
}

void watch_configure(struct keeper *k)
{
	const struct msg_supervise *c = &k->supervisor.config;
	AUTO_ERROR err = ERROR_INIT;
	struct watcher *w;

	watch_release(k);
	if (!c->watch_count)
		return;
	k->watcher = w = xcalloc(1, sizeof(*w));
	w->rules = xcalloc(c->watch_count, sizeof(*w->rules));
	w->tree = tree_watch_new(k->loop, on_change, k, &err);
	if (!w->tree)
		note_failure(w, &err);
	for (size_t i = 0; w->tree && i < c->watch_count; i++) {
		const struct process_watch *config = &c->watches[i];

		w->rules[w->count++] = (struct rule){ .keeper = k, .config = config };
		if (tree_watch_add(w->tree, config->path, &config->ignore, &err) < 0)
			note_failure(w, &err);
	}
}

const char *watch_failure(const struct keeper *k)
{
	return k->watcher ? k->watcher->failure : NULL;
}
