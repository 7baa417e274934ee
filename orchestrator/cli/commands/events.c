/* SPDX-License-Identifier: MIT */
/* ctrz events: what happened to an environment, from its event log. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/log_reader.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"
#include "runtime/host/event_log.h"

enum { CHUNK = 65536, TIME_TEXT_SIZE = 32 };

struct reading {
	const struct cli *cli;
	const struct options *o;
	char *path;         /* of the log */
	int fd;             /* of the file that is read; -1 = not there */
	ino_t inode;        /* of that file */
	struct buffer rest; /* an end without a newline yet */
	char since[LOG_TIME_SIZE + 1];
};

static void reading_release(struct reading *r)
{
	free(r->path);
	if (r->fd >= 0)
		(void)close(r->fd);
	buffer_release(&r->rest);
}

#define AUTO_READING CLEANUP(reading_release) struct reading

static void time_text(uint64_t unix_ms, char out[TIME_TEXT_SIZE])
{
	time_t at = (time_t)(unix_ms / 1000);
	struct tm tm;
	size_t n;

	(void)gmtime_r(&at, &tm);
	n = strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, TIME_TEXT_SIZE - n, ".%03uZ", (unsigned)(unix_ms % 1000));
}

static void add_text(const char *text, struct buffer *out)
{
	text_escape(out, text, strlen(text), false);
}

/* "running", "exited (137): reason" */
static void add_machine(const struct json *e, struct buffer *out)
{
	add_text(json_str(e, "status", "?"), out);
	if (json_i64(e, "exit_code", -1) >= 0)
		buffer_printf(out, " (%d)", (int)json_i64(e, "exit_code", -1));
	if (json_bool(e, "oom_killed", false))
		buffer_add_str(out, ", out of memory");
}

static void add_event(const struct json *e, struct buffer *out)
{
	const char *type = json_str(e, "type", "?");

	if (strcmp(type, "machine") == 0) {
		add_machine(e, out);
	} else if (strcmp(type, "apply_start") == 0) {
		add_text(json_str(e, "command", "?"), out);
		buffer_printf(out, ": %u to do", (unsigned)json_u64(e, "total", 0));
	} else if (strcmp(type, "apply_end") == 0) {
		buffer_printf(out, "%s: %u done, %u failed, %u skipped",
			      json_bool(e, "interrupted", false) ? "interrupted" : "end",
			      (unsigned)json_u64(e, "done", 0), (unsigned)json_u64(e, "failed", 0),
			      (unsigned)json_u64(e, "skipped", 0));
	} else if (str_starts(type, "op_")) {
		add_text(json_str(e, "op", "?"), out);
		buffer_printf(out, " %s", strcmp(type, "op_error") == 0 ? "failed" : type + 3);
	} else {
		add_text(type, out);
		if (json_str(e, "status", NULL)) {
			buffer_add_char(out, ' ');
			add_text(json_str(e, "status", ""), out);
		}
	}
	if (json_str(e, "reason", NULL)) {
		buffer_add_str(out, ": ");
		add_text(json_str(e, "reason", ""), out);
	}
}

static bool is_asked_for(const struct reading *r, const struct json *e, const char *when)
{
	const char *id = json_str(e, "id", NULL);

	if (strcmp(when, r->since) < 0)
		return false;
	return !r->o->args.count || (id && strlist_has(&r->o->args, id));
}

static void add_line(const struct reading *r, const char *line, size_t size, struct buffer *out)
{
	AUTO_JSON e = NULL;
	AUTO_ERROR err = ERROR_INIT;
	char when[TIME_TEXT_SIZE];
	const char *id;

	if (json_parse(line, size, EVENT_LINE_MAX_BYTES, "an event", &e, &err) < 0) {
		error_ignore(&err, "read an event"); /* cut short by a crash */
		return;
	}
	id = json_str(e, "id", NULL);
	time_text(json_u64(e, "ts", 0), when);
	if (!is_asked_for(r, e, when))
		return;
	if (r->cli->json) {
		json_print(e, 0, false, out);
	} else {
		bool color = r->cli->color_out && id;

		buffer_printf(out, "%s  %s", when, color_on(color, color_of_name(id ? id : "")));
		add_text(id ? id : "-", out);
		buffer_printf(out, "%s  ", color_off(color, color_of_name(id ? id : "")));
		add_event(e, out);
	}
	buffer_add_char(out, '\n');
}

static int read_rest(struct reading *r, struct error *err)
{
	AUTO_BUFFER out = BUFFER_INIT;
	size_t start = 0;
	char *end;

	for (;;) {
		ssize_t n = read(r->fd, buffer_reserve(&r->rest, CHUNK), CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read '%s'", r->path);
		if (n == 0)
			break;
		r->rest.size += (size_t)n;
	}
	while (r->rest.size > start &&
	       (end = memchr(r->rest.data + start, '\n', r->rest.size - start))) {
		size_t size = (size_t)(end - (r->rest.data + start));

		add_line(r, r->rest.data + start, size, &out);
		start += size + 1;
	}
	buffer_drop(&r->rest, start);
	return out_write(&out, err);
}

static int open_file(struct reading *r, const char *path, struct error *err)
{
	struct stat st;

	if (r->fd >= 0)
		(void)close(take_fd(&r->fd));
	buffer_clear(&r->rest);
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, "open '%s'", path);
	if (fstat(r->fd, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	r->inode = st.st_ino;
	return read_rest(r, err);
}

static int read_all(struct reading *r, struct error *err)
{
	AUTO_FREE char *old = xasprintf("%s.1", r->path);
	int ret = open_file(r, old, err);

	return ret < 0 ? ret : open_file(r, r->path, err);
}

/* What came since; a log that was put aside is read to its end first. */
static int read_new(struct reading *r, struct error *err)
{
	struct stat st;
	int ret = r->fd >= 0 ? read_rest(r, err) : 0;

	if (ret < 0 || stat(r->path, &st) < 0 || (r->fd >= 0 && st.st_ino == r->inode))
		return ret;
	return open_file(r, r->path, err);
}

static int follow(struct reading *r, const char *dir, struct error *err)
{
	AUTO_CLOSE int fd = inotify_init1(IN_CLOEXEC);
	char events[4096];
	int ret;

	if (fd < 0 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) < 0)
		return error_sys(err, "watch '%s'", dir);
	/* What came between the first reading and the watch is read before the first wait. */
	while ((ret = read_new(r, err)) == 0)
		if (read(fd, events, sizeof(events)) < 0 && errno != EINTR)
			return error_sys(err, "watch '%s'", dir);
	return ret;
}

static int run_events(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_READING r = { .cli = cli, .o = o, .fd = -1 };
	AUTO_FREE char *dir = NULL;
	int ret;

	if (option_value(o, "since") &&
	    log_since_parse(option_value(o, "since"), clock_unix_ms(), r.since, err) < 0) {
		cli->failure_exit = EXIT_USAGE;
		return -(int)err->code;
	}
	ret = select_environment(cli, o, &env, err);
	if (ret < 0)
		return ret;
	r.path = env_store_path(&cli->paths, env.id, EVENTS_NAME);
	dir = env_store_dir(&cli->paths, env.id);
	ret = read_all(&r, err);
	return ret == 0 && option_given(o, "follow") ? follow(&r, dir, err) : ret;
}

static const struct option_def events_options[] = {
	{ .name = "follow", .letter = 'f', .help = "go on printing as it comes" },
	{ .name = "since",
	  .value = "TIME",
	  .help = "only events since then: 10m, 2h, or a date as 2026-01-31T12:00:00 (UTC)" },
	OPTIONS_END,
};

const struct command cmd_events = {
	.name = "events",
	.operands = "[NAME...]",
	.summary = "print what happened to an environment",
	.text = "What commands did, and what became of machines meanwhile: started, restarted, "
		"ended, with exit code and reason. The log is bounded; what is oldest goes first. "
		"It stays when the environment is taken down.\n\n"
		"With --json each event is an object on a line of its own, with v (1), ts "
		"(milliseconds since 1970), type (apply_start, op_done, op_error, op_skipped, "
		"apply_end, machine) and id (the object).",
	.example = "ctrz events\nctrz events -f --json web",
	.options = events_options,
	.run = run_events,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
