/* SPDX-License-Identifier: MIT */
/* ctrz logs --boot. */
#include "orchestrator/cli/commands/boot_log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/log_reader.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/state/env_store.h"

struct printing {
	const struct cli *cli;
	bool prefix, raw;
	const char *name; /* of the container */
	struct buffer *out;
};

/* "<6>[    0.123] text": the number is 8 * facility + level. */
static int take_level(const char **line, size_t *size)
{
	const char *end = *size > 2 && **line == '<' ? memchr(*line, '>', *size) : NULL;
	AUTO_FREE char *digits = end ? xstrndup(*line + 1, (size_t)(end - *line - 1)) : NULL;
	uint64_t number;

	if (!digits || !parse_u64(digits, 1023, &number))
		return -1;
	*size -= (size_t)(end + 1 - *line);
	*line = end + 1;
	return (int)(number & 7);
}

static void print_line(const struct printing *p, const char *line, size_t size)
{
	int level = take_level(&line, &size);

	if (p->cli->json) {
		AUTO_JSON o = json_new_object();

		json_set_string(o, "container", p->name);
		json_set(o, "level", level < 0 ? json_new_null() : json_new_int(level));
		json_set(o, "text", json_new_string_n(line, size));
		json_print(o, 0, false, p->out);
		buffer_add_char(p->out, '\n');
		return;
	}
	if (p->prefix)
		buffer_printf(p->out, "%s | ", p->name);
	if (p->raw)
		buffer_add(p->out, line, size);
	else
		text_escape(p->out, line, size, true);
	buffer_add_char(p->out, '\n');
}

/* Where the last @tail lines begin. */
static const char *begin_of_tail(const char *text, size_t size, uint64_t tail)
{
	size_t at = size && text[size - 1] == '\n' ? size - 1 : size;

	if (!tail)
		return text;
	while (at > 0 && (text[at - 1] != '\n' || --tail > 0))
		at--;
	return text + at;
}

static void print_text(const struct printing *p, const char *text, size_t size, uint64_t tail)
{
	const char *end = text + size, *at = begin_of_tail(text, size, tail);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		print_line(p, at, (size_t)(stop - at));
		at = stop + 1;
	}
}

static int print_console(const struct printing *p, const char *folder, uint64_t tail,
			 struct error *err)
{
	struct log_source s = LOG_SOURCE_INIT;
	struct log_entries entries = { 0 };
	int r;

	s.folder = xstrdup(folder);
	s.name = "console";
	r = log_source_read_all(&s, 0, "", tail, &entries, err);
	for (size_t i = 0; r == 0 && i < entries.count; i++)
		print_line(p, entries.items[i].text, entries.items[i].size);
	log_entries_release(&entries);
	log_source_release(&s);
	return r;
}

/* Return: whether the machine has told it. */
static bool ask(const struct printing *p, const char *run_dir, uint64_t tail)
{
	struct msg_kernel_log m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (machine_kernel_log(run_dir, &m, &err) < 0) {
		(void)fprintf(stderr, "%s does not tell: %s; this is what its console said\n",
			      p->name, error_message(&err));
		return false;
	}
	print_text(p, (const char *)m.text, m.text_size, tail);
	msg_kernel_log_release(&m);
	return true;
}

/* Of a boot that has ended. */
static int print_kept(const struct printing *p, const char *folder, uint64_t previous,
		      uint64_t tail, struct error *err)
{
	AUTO_FREE char *path = xasprintf("%s/boot.log.%u", folder, (unsigned)previous);
	AUTO_BUFFER text = BUFFER_INIT;

	if (!file_exists(path)) {
		(void)fprintf(stderr, "%s: no log of that boot is kept\n", p->name);
		return 0;
	}
	if (file_read(path, KERNEL_LOG_MAX, &text, err) < 0)
		return -(int)err->code;
	print_text(p, buffer_str(&text), text.size, tail);
	return 0;
}

int boot_log_print(struct cli *cli, const struct options *o, const struct env_record *env,
		   uint64_t previous, uint64_t tail, struct error *err)
{
	AUTO_VIEWS views = { 0 };
	AUTO_BUFFER out = BUFFER_INIT;
	struct printing p = { .cli = cli, .out = &out };
	int r = container_views_add(cli, env, &o->args, &views, err);

	p.prefix = views.count > 1 && !option_given(o, "no-prefix");
	p.raw = option_given(o, "raw") || !isatty(1);
	for (size_t i = 0; r == 0 && i < views.count; i++) {
		const struct container_view *v = &views.items[i];
		AUTO_FREE char *run_dir = env_store_run_dir(&cli->paths, v->c->run_id);
		AUTO_FREE char *folder = env_store_container_dir(&cli->paths, env->id, v->c->name);

		p.name = v->c->name;
		if (previous > 0)
			r = print_kept(&p, folder, previous, tail, err);
		else if (v->status.phase != MACHINE_RUNNING || !ask(&p, run_dir, tail))
			r = print_console(&p, folder, tail, err);
	}
	return r < 0 ? r : out_write(&out, err);
}
