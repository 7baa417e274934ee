/* SPDX-License-Identifier: MIT */
/* The journal: JSON lines, synced one by one. */
#include "orchestrator/state/journal.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "orchestrator/state/env_store.h"

enum { JOURNAL_MAX_BYTES = 16 * 1024 * 1024 };

struct journal {
	char *path;
	int fd;
};

static const char *const event_names[] = {
	[JOURNAL_BEGIN] = "begin",
	[JOURNAL_DONE] = "done",
	[JOURNAL_FAILED] = "failed",
	[JOURNAL_UNDONE] = "undone",
};
static_assert(ARRAY_SIZE(event_names) == JOURNAL_EVENTS, "every event has a name");

/* One write, then on disk before the caller goes on. */
static int append(struct journal *j, struct json *line, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	int r;

	json_set_int(line, "unix_ms", (int64_t)clock_unix_ms());
	json_print(line, 0, false, &text);
	buffer_add_char(&text, '\n');
	r = fd_write_full(j->fd, text.data, text.size, err);
	if (r < 0)
		return error_wrap(err, "write '%s'", j->path);
	if (fdatasync(j->fd) < 0)
		return error_sys(err, "sync '%s'", j->path);
	return 0;
}

int journal_start(const struct host_paths *paths, const char *id, uint64_t run, size_t total,
		  const char *command, struct journal **ret, struct error *err)
{
	CLEANUP(journal_close_p) struct journal *j = xcalloc(1, sizeof(*j));
	AUTO_FREE char *dir = env_store_dir(paths, id);
	AUTO_JSON line = json_new_object();
	int r;

	j->path = env_store_path(paths, id, "journal");
	j->fd = open(j->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		     0600);
	if (j->fd < 0)
		return error_sys(err, "open '%s'", j->path);
	json_set_string(line, "event", "run");
	json_set_int(line, "run", (int64_t)run);
	json_set_int(line, "total", (int64_t)total);
	json_set_string(line, "command", command);
	r = append(j, line, err);
	if (r == 0)
		r = dir_sync(dir, err);
	if (r == 0)
		*ret = TAKE_PTR(j);
	return r;
}

int journal_note(struct journal *j, enum journal_event event, const char *action,
		 const char *object, struct error *err)
{
	AUTO_JSON line = json_new_object();

	json_set_string(line, "event", event_names[event]);
	json_set_string(line, "action", action);
	json_set_string(line, "object", object);
	return append(j, line, err);
}

int journal_finish(struct journal *j, struct error *err)
{
	return file_remove(j->path, err);
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		(void)close(j->fd);
	free(j->path);
	free(j);
}

void journal_rest_release(struct journal_rest *r)
{
	free(r->open);
	*r = (struct journal_rest){ 0 };
}

static void drop_open(struct strlist *open, const char *what)
{
	for (size_t i = 0; i < open->count; i++) {
		if (strcmp(open->items[i], what) != 0)
			continue;
		free(open->items[i]);
		memmove(&open->items[i], &open->items[i + 1],
			(open->count - i) * sizeof(*open->items));
		open->count--;
		return;
	}
}

static void read_line(const struct json *line, struct journal_rest *rest, struct strlist *open)
{
	const char *event = json_str(line, "event", "");
	AUTO_FREE char *what =
		xasprintf("%s %s", json_str(line, "action", "?"), json_str(line, "object", "?"));

	rest->last_unix_ms = json_u64(line, "unix_ms", rest->last_unix_ms);
	if (strcmp(event, "run") == 0) {
		rest->run = json_u64(line, "run", 0);
		rest->total = (size_t)json_u64(line, "total", 0);
	} else if (strcmp(event, event_names[JOURNAL_BEGIN]) == 0) {
		strlist_add(open, what);
	} else {
		drop_open(open, what);
		rest->done += strcmp(event, event_names[JOURNAL_DONE]) == 0;
	}
}

int journal_read(const struct host_paths *paths, const char *id, struct journal_rest *ret,
		 struct error *err)
{
	AUTO_FREE char *path = env_store_path(paths, id, "journal");
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_STRLIST open = STRLIST_INIT;
	const char *p, *end;
	int r = file_read(path, JOURNAL_MAX_BYTES, &text, err);

	if (r < 0)
		return r;
	*ret = (struct journal_rest){ 0 };
	p = buffer_str(&text);
	for (; (end = strchr(p, '\n')); p = end + 1) {
		AUTO_JSON line = NULL;
		AUTO_ERROR line_err = ERROR_INIT;

		if (json_parse(p, (size_t)(end - p), JOURNAL_MAX_BYTES, path, &line, &line_err) <
		    0) {
			error_ignore(&line_err, "read a line of the journal");
			continue;
		}
		read_line(line, ret, &open);
	}
	ret->open = open.count ? strlist_join(&open, ", ") : NULL;
	return 0;
}
