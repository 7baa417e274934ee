/* SPDX-License-Identifier: MIT */
/* A trace: phases of several processes, noted as lines in a memory file, become one JSON file. */
#include "orchestrator/cli/trace_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/trace.h"

enum { LINES_MAX_BYTES = 64 << 20, FILE_MODE = 0644 };

/* One line; the texts are lent from a copy of all. */
struct phase {
	const char *process, *thread, *name;
	uint64_t begin_us, end_us;
	unsigned pid, tid; /* of the picture: numbered in the order of their first phases */
};

struct phases {
	struct phase *items;
	size_t count, room;
};

/* Cuts @text at the next @end. Return: what was before it, or NULL if there is none */
static char *cut(char **text, char end)
{
	char *word = *text, *at = word ? strchr(word, end) : NULL;

	if (!at)
		return NULL;
	*at = '\0';
	*text = at + 1;
	return word;
}

static bool read_line(char *line, struct phase *ret)
{
	const char *process = cut(&line, '\t'), *thread = cut(&line, '\t'),
		   *name = cut(&line, '\t'), *begin = cut(&line, '\t');

	*ret = (struct phase){ .process = process, .thread = thread, .name = name };
	return begin && parse_u64(begin, UINT64_MAX, &ret->begin_us) &&
	       parse_u64(line, UINT64_MAX, &ret->end_us) && ret->end_us >= ret->begin_us;
}

/* What contains others comes before them. */
static int by_time(const void *a, const void *b)
{
	const struct phase *x = a, *y = b;

	if (x->begin_us != y->begin_us)
		return x->begin_us < y->begin_us ? -1 : 1;
	return x->end_us == y->end_us ? strcmp(x->name, y->name) : x->end_us > y->end_us ? -1 : 1;
}

static void read_lines(char *text, struct phases *ret)
{
	char *line;

	while ((line = cut(&text, '\n'))) {
		GROW_ARRAY(ret->items, ret->count, ret->room);
		if (read_line(line, &ret->items[ret->count]))
			ret->count++;
	}
	if (ret->count > 0)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_time);
}

/* The number of a process or thread that was seen before @index, or a new one. */
static void number(struct phases *all, size_t index, unsigned *last_pid)
{
	struct phase *p = &all->items[index];

	for (size_t i = 0; i < index && p->tid == 0; i++) {
		const struct phase *q = &all->items[i];

		if (strcmp(q->process, p->process) != 0)
			continue;
		p->pid = q->pid;
		if (strcmp(q->thread, p->thread) == 0)
			p->tid = q->tid;
	}
	if (p->pid == 0)
		p->pid = ++*last_pid;
}

static struct json *event_new(const struct phase *p, const char *name, const char *kind)
{
	struct json *o = json_new_object();

	json_set_string(o, "name", name);
	json_set_string(o, "ph", kind);
	json_set_int(o, "pid", p->pid);
	json_set_int(o, "tid", p->tid);
	return o;
}

static void add_name(struct json *list, const struct phase *p, const char *what, const char *name)
{
	struct json *o = event_new(p, what, "M"), *args = json_new_object();

	json_set_string(args, "name", name);
	json_set(o, "args", args);
	json_add(list, o);
}

static void add_phase(struct json *list, const struct phase *p, uint64_t zero_us)
{
	struct json *o = event_new(p, p->name, "X");

	json_set_int(o, "ts", (int64_t)(p->begin_us - zero_us));
	json_set_int(o, "dur", (int64_t)(p->end_us - p->begin_us));
	json_add(list, o);
}

void trace_file_json(const char *lines, size_t size, struct buffer *out)
{
	AUTO_FREE char *text = xstrndup(lines, size);
	AUTO_JSON o = json_new_object();
	struct json *list = json_new_array();
	struct phases all = { 0 };
	unsigned pid = 0, tid = 0;

	read_lines(text, &all);
	for (size_t i = 0; i < all.count; i++) {
		struct phase *p = &all.items[i];
		unsigned pids = pid;

		number(&all, i, &pid);
		if (pid != pids)
			add_name(list, p, "process_name", p->process);
		if (p->tid == 0) {
			p->tid = ++tid;
			add_name(list, p, "thread_name", p->thread);
		}
		add_phase(list, p, all.items[0].begin_us);
	}
	free(all.items);
	json_set(o, "traceEvents", list);
	json_set_string(o, "displayTimeUnit", "ms");
	json_print(o, 0, false, out);
	buffer_add_char(out, '\n');
}

int trace_file_begin(const struct options *o, const char *command, int *ret_fd, struct error *err)
{
	const char *path = option_find(o->command, "trace", 0) ? option_value(o, "trace") : NULL;
	AUTO_FREE char *dir = path ? path_dirname(path) : NULL;
	AUTO_FREE char *name = xasprintf("ctrz %s", command);

	*ret_fd = -1;
	if (!path)
		return 0;
	/* Told before anything is done, not after. */
	if (access(dir, W_OK) < 0)
		return error_sys(err, "--trace: write to '%s'", dir);
	AUTO_CLOSE int fd = memfd_create("ctrz-trace", MFD_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "--trace: make a memory file");
	/* Every process that notes has this one description of it. */
	if (fcntl(fd, F_SETFL, O_APPEND) < 0)
		return error_sys(err, "--trace: append to a memory file");
	trace_to(fd);
	trace_as(name, "main");
	*ret_fd = take_fd(&fd);
	return 0;
}

int trace_file_end(const struct options *o, int fd, struct error *err)
{
	AUTO_BUFFER lines = BUFFER_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_CLOSE int owned = fd;

	if (owned < 0)
		return 0;
	trace_to(-1);
	if (lseek(owned, 0, SEEK_SET) < 0)
		return error_sys(err, "--trace: read a memory file");
	if (fd_read_all(owned, &lines, LINES_MAX_BYTES, err) < 0)
		return -(int)err->code;
	trace_file_json(buffer_str(&lines), lines.size, &text);
	return file_write_atomic(option_value(o, "trace"), text.data, text.size, FILE_MODE, err);
}
