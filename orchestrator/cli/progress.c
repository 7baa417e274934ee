/* SPDX-License-Identifier: MIT */
/* Progress display. */
/*
 * DOC: Theory of Operation
 *
 * On a terminal the objects are a block of lines below everything printed so far. Each redraw moves
 * the cursor up over the block, rewrites its lines and clears what is left of each; only as many
 * objects as fit are drawn, running ones first. The cursor is hidden while the block is there; a
 * process that ends early restores it in an exit handler, or where a signal ends it.
 */
#include "orchestrator/cli/progress.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json/json.h"
#include "base/text.h"
#include "orchestrator/cli/output.h"

enum {
	REDRAW_MS = 100,
	RATE_MS = 500,   /* shortest time a rate is taken over */
	EVENT_MS = 1000, /* between two JSON events of one transfer */
	ROWS_DEFAULT = 24,
	COLUMNS_DEFAULT = 80,
	BAR_WIDTH = 20,
};

struct item {
	char *object, *action, *note, *detail;
	uint64_t current, total;
	enum progress_state state;
	uint64_t started_ms, ended_ms;
	uint64_t sample_ms, sample_done; /* what the rate is measured from */
	uint64_t rate;                   /* bytes a second, smoothed; 0 = not known yet */
	uint64_t event_ms;               /* of the last JSON event */
};

struct progress {
	struct progress_options o;
	struct item *items;
	size_t count, room;
	size_t drawn_lines;
	uint64_t drawn_ms;
};

static const char *const state_words[] = {
	[STATE_WAITING] = "waiting", [STATE_RUNNING] = "running", [STATE_DONE] = "done",
	[STATE_FAILED] = "failed",   [STATE_SKIPPED] = "skipped",
};
static_assert(ARRAY_SIZE(state_words) == STATE_COUNT, "every state has a word");

/* The cursor of this descriptor is hidden; -1 = none. Read by handlers of exit and signals. */
static volatile sig_atomic_t hidden_fd = -1;

static void show_cursor(void)
{
	if (hidden_fd >= 0 && write(hidden_fd, "\033[?25h", 6) < 0)
		hidden_fd = -1;
	hidden_fd = -1;
}

/* The signal ends the process after this, as it would have. */
static void end_by_signal(int sig)
{
	show_cursor();
	(void)raise(sig);
}

/* Whoever handles these signals in a way of his own sees to the cursor himself. */
static void show_cursor_when_killed(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction then = { .sa_handler = end_by_signal, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction now;

		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			(void)sigaction(signals[i], &then, NULL);
	}
}

int progress_mode_parse(const char *text, bool tty, enum progress_mode *ret, struct error *err)
{
	static const struct {
		const char *name;
		enum progress_mode mode;
	} modes[] = {
		{ "tty", PROGRESS_TTY },
		{ "plain", PROGRESS_PLAIN },
		{ "json", PROGRESS_JSON },
		{ "quiet", PROGRESS_QUIET },
	};

	if (!text || strcmp(text, "auto") == 0) {
		*ret = tty ? PROGRESS_TTY : PROGRESS_PLAIN;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(text, modes[i].name) == 0) {
			*ret = modes[i].mode;
			return 0;
		}
	}
	return error_set(err, E_INVALID,
			 "option --progress: '%s' is not auto, tty, plain, json or quiet", text);
}

static void put(const struct progress *p, const struct buffer *b)
{
	AUTO_ERROR err = ERROR_INIT;

	if (b->size && fd_write_full(p->o.fd, b->data, b->size, &err) < 0)
		error_ignore(&err, "show progress");
}

struct progress *progress_new(const struct progress_options *o)
{
	static bool registered;
	struct progress *p = xcalloc(1, sizeof(*p));

	p->o = *o;
	if (o->mode == PROGRESS_TTY) {
		AUTO_BUFFER b = BUFFER_INIT;

		if (!registered)
			registered = atexit(show_cursor) == 0;
		show_cursor_when_killed();
		hidden_fd = o->fd;
		buffer_add_str(&b, "\033[?25l");
		put(p, &b);
	}
	return p;
}

static const struct {
	const char *ascii, *unicode;
	enum color color;
} marks[] = {
	[STATE_WAITING] = { ".", "·", COLOR_DIM },    [STATE_RUNNING] = { "*", "●", COLOR_CYAN },
	[STATE_DONE] = { "+", "✔", COLOR_GREEN },     [STATE_FAILED] = { "x", "✘", COLOR_RED },
	[STATE_SKIPPED] = { "-", "○", COLOR_YELLOW },
};

static void add_bar(const struct item *i, struct buffer *out)
{
	unsigned filled;

	if (!i->total)
		return;
	filled = (unsigned)((double)(i->current < i->total ? i->current : i->total) * BAR_WIDTH /
			    (double)i->total);
	buffer_add_str(out, " [");
	for (unsigned n = 0; n < BAR_WIDTH; n++)
		buffer_add_char(out, n < filled ? '=' : ' ');
	buffer_add_char(out, ']');
}

/* "12.5 MiB/s, 1:05 left" */
static void add_rate(const struct item *i, struct buffer *out)
{
	AUTO_FREE char *rate = text_size(i->rate);
	uint64_t left;

	if (!i->rate)
		return;
	buffer_printf(out, " %s/s", rate);
	if (!i->total || i->current >= i->total)
		return;
	left = (i->total - i->current + i->rate - 1) / i->rate;
	if (left < 3600)
		buffer_printf(out, ", %u:%02u left", (unsigned)(left / 60), (unsigned)(left % 60));
}

static void add_item_text(const struct item *i, struct buffer *out)
{
	buffer_printf(out, "%s %s", i->object, i->action);
	if (i->state == STATE_RUNNING && i->detail) {
		buffer_printf(out, "  %s", i->detail);
		add_bar(i, out);
		add_rate(i, out);
	}
	if (i->note)
		buffer_printf(out, "  %s", i->note);
}

static void cut_to_columns(struct buffer *b, size_t columns)
{
	size_t at = 0, seen = 0;

	while (at < b->size) {
		bool begins = ((unsigned char)b->data[at] & 0xc0) != 0x80;

		if (begins && seen == columns)
			break;
		seen += begins;
		at++;
	}
	b->size = at;
	if (b->data)
		b->data[at] = '\0';
}

static void draw_item(const struct progress *p, const struct item *i, size_t columns,
		      struct buffer *out)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_FREE char *timer = NULL;
	uint64_t until = i->ended_ms ? i->ended_ms : clock_ms();
	bool shows_time = i->started_ms && !(i->rate && i->state == STATE_RUNNING);
	size_t room = columns > 16 ? columns - (shows_time ? 12 : 4) : columns;
	size_t used;

	add_item_text(i, &text);
	cut_to_columns(&text, room);
	used = text_columns(buffer_str(&text));
	if (shows_time)
		timer = xasprintf("%.1fs", (double)(until - i->started_ms) / 1000);
	buffer_printf(out, " %s%s%s %s", color_on(p->o.color, marks[i->state].color),
		      p->o.unicode ? marks[i->state].unicode : marks[i->state].ascii,
		      color_off(p->o.color, marks[i->state].color), buffer_str(&text));
	if (timer)
		buffer_printf(out, "%*s%s", (int)(room > used ? room - used + 1 : 1), "", timer);
	buffer_add_str(out, "\033[K\n");
}

static size_t count_state(const struct progress *p, enum progress_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		count += p->items[i].state == state;
	return count;
}

/* Return: lines drawn */
static size_t draw_items(const struct progress *p, size_t rows, size_t columns, struct buffer *out)
{
	bool all = p->count <= rows;
	size_t drawn = 0;

	for (size_t i = 0; i < p->count && drawn < rows; i++) {
		if (!all && p->items[i].state != STATE_RUNNING && p->items[i].state != STATE_FAILED)
			continue;
		draw_item(p, &p->items[i], columns, out);
		drawn++;
	}
	if (all)
		return drawn;
	buffer_printf(out, "   ... %zu more\033[K\n", p->count - drawn);
	return drawn + 1;
}

static void redraw(struct progress *p)
{
	AUTO_BUFFER b = BUFFER_INIT;
	struct winsize size = { 0 };
	size_t rows, columns;

	if (ioctl(p->o.fd, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		size = (struct winsize){ .ws_row = ROWS_DEFAULT, .ws_col = COLUMNS_DEFAULT };
	rows = size.ws_row > 4 ? size.ws_row - 3u : 1;
	columns = size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
	if (p->drawn_lines)
		buffer_printf(&b, "\033[%zuA", p->drawn_lines);
	buffer_printf(&b, "[+] %s %zu/%zu\033[K\n", p->o.title, count_state(p, STATE_DONE),
		      p->count);
	p->drawn_lines = 1 + draw_items(p, rows, columns, &b);
	buffer_add_str(&b, "\033[J");
	p->drawn_ms = clock_ms();
	put(p, &b);
}

static void put_json(const struct progress *p, const char *type, const struct item *i)
{
	AUTO_JSON o = json_new_object();
	AUTO_BUFFER b = BUFFER_INIT;

	json_set_int(o, "v", 1);
	json_set_int(o, "ts", (int64_t)clock_unix_ms());
	json_set_string(o, "type", type);
	json_set_string(o, "id", i->object);
	json_set_string(o, "op", i->action);
	json_set_string(o, "status", state_words[i->state]);
	if (i->total) {
		json_set_int(o, "current", (int64_t)i->current);
		json_set_int(o, "total", (int64_t)i->total);
	}
	if (i->note)
		json_set_string(o, "reason", i->note);
	json_print(o, 0, false, &b);
	buffer_add_char(&b, '\n');
	put(p, &b);
}

/* A rate is measured over at least RATE_MS, and one that jumps is smoothed. */
static void measure(struct item *i, uint64_t current)
{
	uint64_t now = clock_ms();

	if (!i->sample_ms || current < i->sample_done) {
		i->sample_ms = now;
		i->sample_done = current;
		i->rate = 0;
	} else if (now - i->sample_ms >= RATE_MS) {
		uint64_t rate = (current - i->sample_done) * 1000 / (now - i->sample_ms);

		i->rate = i->rate ? (i->rate * 2 + rate) / 3 : rate;
		i->sample_ms = now;
		i->sample_done = current;
	}
}

static const char *event_type(enum progress_state state)
{
	switch (state) {
	case STATE_DONE:
		return "op_done";
	case STATE_FAILED:
		return "op_error";
	case STATE_SKIPPED:
		return "op_skipped";
	case STATE_WAITING:
	case STATE_RUNNING:
	case STATE_COUNT:
		break;
	}
	return "op_start";
}

static void put_plain(const struct progress *p, const struct item *i)
{
	AUTO_BUFFER b = BUFFER_INIT;

	buffer_printf(&b, "%s: %s", i->object, i->action);
	if (i->state != STATE_RUNNING)
		buffer_printf(&b, " %s", state_words[i->state]);
	if (i->note)
		buffer_printf(&b, " (%s)", i->note);
	buffer_add_char(&b, '\n');
	put(p, &b);
}

size_t progress_add(struct progress *p, const char *object, const char *action)
{
	GROW_ARRAY(p->items, p->count, p->room);
	p->items[p->count] =
		(struct item){ .object = text_escaped(object), .action = text_escaped(action) };
	return p->count++;
}

void progress_set(struct progress *p, size_t index, enum progress_state state, const char *note)
{
	struct item *i = &p->items[index];

	assert(index < p->count);
	if (state == STATE_RUNNING)
		i->started_ms = clock_ms();
	else if (i->started_ms)
		i->ended_ms = clock_ms();
	i->state = state;
	free(i->note);
	i->note = note ? text_escaped(note) : NULL;
	switch (p->o.mode) {
	case PROGRESS_TTY:
		redraw(p);
		break;
	case PROGRESS_PLAIN:
		put_plain(p, i);
		break;
	case PROGRESS_JSON:
		put_json(p, event_type(state), i);
		break;
	case PROGRESS_QUIET:
		break;
	}
}

void progress_detail(struct progress *p, size_t index, const char *text, uint64_t current,
		     uint64_t total)
{
	struct item *i = &p->items[index];

	assert(index < p->count);
	free(i->detail);
	i->detail = text_escaped(text);
	i->current = current;
	i->total = total;
	progress_tick(p);
}

void progress_transfer(struct progress *p, size_t index, uint64_t current, uint64_t total)
{
	struct item *i = &p->items[index];

	assert(index < p->count);
	if (p->o.mode == PROGRESS_QUIET || p->o.mode == PROGRESS_PLAIN)
		return;
	AUTO_FREE char *done = text_size(current);
	AUTO_FREE char *all = text_size(total);
	AUTO_FREE char *text = total ? xasprintf("%s/%s", done, all) : xstrdup(done);
	measure(i, current);
	progress_detail(p, index, text, current, total);
	if (p->o.mode == PROGRESS_JSON && clock_ms() - i->event_ms >= EVENT_MS) {
		i->event_ms = clock_ms();
		put_json(p, "op_progress", i);
	}
}

void progress_tick(struct progress *p)
{
	if (p->o.mode == PROGRESS_TTY && p->count && clock_ms() - p->drawn_ms >= REDRAW_MS)
		redraw(p);
}

void progress_line(struct progress *p, const char *text)
{
	AUTO_BUFFER b = BUFFER_INIT;

	if (p->o.mode == PROGRESS_QUIET || p->o.mode == PROGRESS_JSON)
		return;
	if (p->drawn_lines)
		buffer_printf(&b, "\033[%zuA\033[J", p->drawn_lines);
	p->drawn_lines = 0;
	text_escape(&b, text, strlen(text), true);
	buffer_add_char(&b, '\n');
	put(p, &b);
	if (p->o.mode == PROGRESS_TTY && p->count)
		redraw(p);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	if (p->o.mode == PROGRESS_TTY) {
		if (p->count)
			redraw(p);
		show_cursor();
	}
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].object);
		free(p->items[i].action);
		free(p->items[i].note);
		free(p->items[i].detail);
	}
	free(p->items);
	free(p);
}
