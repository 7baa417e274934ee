/* SPDX-License-Identifier: MIT */
/* Reading containers' log files. */
#include "orchestrator/cli/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/machine/keeper_log.h"

enum { ROTATED_MAX = 100, CHUNK = 65536 };

static void entry_release(struct log_entry *e)
{
	free(e->process);
	free(e->text);
	*e = (struct log_entry){ 0 };
}

void log_entries_release(struct log_entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		entry_release(&e->items[i]);
	free(e->items);
	*e = (struct log_entries){ 0 };
}

void log_source_release(struct log_source *s)
{
	free(s->folder);
	if (s->fd >= 0)
		(void)close(s->fd);
	buffer_release(&s->rest);
	entry_release(&s->partial);
	*s = LOG_SOURCE_INIT;
}

static void take_partial(struct log_source *s, struct log_entries *out)
{
	if (!s->partial.text)
		return;
	GROW_ARRAY(out->items, out->count, out->room);
	out->items[out->count++] = s->partial;
	s->partial = (struct log_entry){ 0 };
}

static bool is_of(const struct log_entry *e, const struct log_line *l)
{
	if (!e->process || !l->process)
		return !e->process && !l->process;
	return strlen(e->process) == l->process_size &&
	       memcmp(e->process, l->process, l->process_size) == 0;
}

/* One line of a file: a whole line, or a part that goes with what follows. */
static void add_line(struct log_source *s, size_t index, const char *line, size_t size,
		     struct log_entries *out)
{
	struct log_line l;
	struct log_entry *p = &s->partial;
	if (!log_line_parse(line, size, &l))
		return; /* a write that was cut short by a crash */
	if (p->text && (p->is_stderr != (l.stream == LOG_STDERR) || !is_of(p, &l)))
		take_partial(s, out);
	if (!p->text) {
		memcpy(p->time, l.time, LOG_TIME_SIZE);
		p->source = index;
		p->is_stderr = l.stream == LOG_STDERR;
		p->process = l.process ? xstrndup(l.process, l.process_size) : NULL;
	}
	p->text = xrealloc(p->text, p->size + l.size + 1);
	memcpy(p->text + p->size, l.text, l.size);
	p->size += l.size;
	p->text[p->size] = '\0';
	if (!l.is_partial)
		take_partial(s, out);
}

static int read_fd(struct log_source *s, size_t index, int fd, struct log_entries *out,
		   struct error *err)
{
	for (;;) {
		char *at = buffer_reserve(&s->rest, CHUNK);
		ssize_t n = read(fd, at, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read the log in '%s'", s->folder);
		if (n == 0)
			return 0;
		s->rest.size += (size_t)n;
		s->rest.data[s->rest.size] = '\0';
		size_t start = 0;
		for (char *end; (end = memchr(s->rest.data + start, '\n', s->rest.size - start));) {
			size_t size = (size_t)(end - (s->rest.data + start));
			add_line(s, index, s->rest.data + start, size, out);
			start += size + 1;
		}
		buffer_drop(&s->rest, start);
	}
}

/* Open "log" of the folder; a missing one is no failure. */
static int open_current(struct log_source *s, struct error *err)
{
	AUTO_FREE char *path = path_join(s->folder, s->name);
	struct stat st;
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, "open '%s'", path);
	if (fstat(s->fd, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	s->inode = st.st_ino;
	return 0;
}

static int read_rotated(struct log_source *s, size_t index, struct log_entries *out,
			struct error *err)
{
	unsigned oldest = 0;
	for (unsigned i = 1; i <= ROTATED_MAX; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s.%u", s->folder, s->name, i);
		if (access(path, F_OK) < 0)
			break;
		oldest = i;
	}
	for (unsigned i = oldest; i >= 1; i--) {
		AUTO_FREE char *path = xasprintf("%s/%s.%u", s->folder, s->name, i);
		AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue; /* rotated away in between */
		int r = read_fd(s, index, fd, out, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Drop entries from @first on that are too old or more than @tail from the end. */
static void filter(struct log_entries *e, size_t first, const char *since, uint64_t tail)
{
	size_t keep = first;
	size_t lowest = tail && e->count - first > tail ? e->count - (size_t)tail : first;
	for (size_t i = first; i < e->count; i++) {
		if (i < lowest || strcmp(e->items[i].time, since) < 0)
			entry_release(&e->items[i]);
		else
			e->items[keep++] = e->items[i];
	}
	e->count = keep;
}

int log_source_read_all(struct log_source *s, size_t index, const char *since, uint64_t tail,
			struct log_entries *out, struct error *err)
{
	size_t first = out->count;
	int r = read_rotated(s, index, out, err);
	if (r == 0)
		r = open_current(s, err);
	if (r == 0 && s->fd >= 0)
		r = read_fd(s, index, s->fd, out, err);
	if (r < 0)
		return r;
	/* A prompt that still waits is shown; the rest of its line, if it comes, is another entry.
	 */
	take_partial(s, out);
	filter(out, first, since, tail);
	return 0;
}

int log_source_read_new(struct log_source *s, size_t index, struct log_entries *out,
			struct error *err)
{
	AUTO_FREE char *path = path_join(s->folder, s->name);
	struct stat st;
	int r = 0;
	if (s->fd >= 0)
		r = read_fd(s, index, s->fd, out, err);
	if (r < 0 || stat(path, &st) < 0 || (s->fd >= 0 && st.st_ino == s->inode))
		return r;
	if (s->fd >= 0)
		(void)close(take_fd(&s->fd));
	r = open_current(s, err);
	return r == 0 && s->fd >= 0 ? read_fd(s, index, s->fd, out, err) : r;
}

/* Merge sort keeps the order of equal times. */
static void merge(struct log_entry *items, struct log_entry *room, size_t count)
{
	if (count < 2)
		return;
	size_t half = count / 2, a = 0, b = half;
	merge(items, room, half);
	merge(items + half, room, count - half);
	memcpy(room, items, count * sizeof(*items));
	for (size_t i = 0; i < count; i++) {
		bool take_a = a < half && (b == count || strcmp(room[a].time, room[b].time) <= 0);
		items[i] = take_a ? room[a++] : room[b++];
	}
}

void log_entries_sort(struct log_entries *e)
{
	AUTO_FREE struct log_entry *room = xcalloc(e->count, sizeof(*room));
	merge(e->items, room, e->count);
}

/* "2h30m" in milliseconds. */
static bool parse_duration(const char *text, uint64_t *ret_ms)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
	uint64_t total = 0;
	if (!*text)
		return false;
	while (*text) {
		uint64_t n = 0, unit = 0;
		size_t digits = strspn(text, "0123456789");
		if (!digits || digits > 9)
			return false;
		for (size_t i = 0; i < digits; i++)
			n = n * 10 + (uint64_t)(text[i] - '0');
		text += digits;
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (*text == units[i].unit)
				unit = units[i].ms;
		if (!unit)
			return false;
		text++;
		total += n * unit;
	}
	*ret_ms = total;
	return true;
}

int log_since_parse(const char *text, uint64_t now_unix_ms, char ret[LOG_TIME_SIZE + 1],
		    struct error *err)
{
	static const char pattern[] = "dddd-dd-ddTdd:dd:dd";
	uint64_t ms = 0;
	if (parse_duration(text, &ms)) {
		time_t at = (time_t)((ms < now_unix_ms ? now_unix_ms - ms : 0) / 1000);
		struct tm tm;
		(void)gmtime_r(&at, &tm);
		(void)strftime(ret, LOG_TIME_SIZE + 1, "%Y-%m-%dT%H:%M:%S", &tm);
		return 0;
	}
	size_t n = strlen(text);
	if (n && text[n - 1] == 'Z')
		n--;
	bool ok = n == 10 || n == 16 || n == 19;
	for (size_t i = 0; ok && i < n; i++)
		ok = pattern[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == pattern[i];
	if (!ok)
		return error_set(err, E_INVALID,
				 "'%s' is no time: write how long ago (10m, 2h30m) or a date "
				 "(2026-01-31T12:00:00)",
				 text);
	memcpy(ret, text, n);
	ret[n] = '\0';
	return 0;
}
