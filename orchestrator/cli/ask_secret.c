/* SPDX-License-Identifier: MIT */
/* Reading a line that is not shown. */
#include "orchestrator/cli/ask_secret.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "orchestrator/apply/contents.h"
#include "orchestrator/state/secret_store.h"

enum { CTRL_C = 3 };

static int read_line(bool on_terminal, struct buffer *out, struct error *err)
{
	char c = 0;
	ssize_t n;

	while ((n = read(0, &c, 1)) == 1 && c != '\n' && out->size < SECRET_MAX_BYTES) {
		if (on_terminal && c == CTRL_C)
			return error_set(err, E_CANCELED, "interrupted");
		buffer_add_char(out, c);
	}
	if (n < 0)
		return error_sys(err, "read from standard input");
	if (out->size && out->data[out->size - 1] == '\r')
		out->data[--out->size] = '\0';
	return out->size ? 0 : error_set(err, E_INVALID, "what was typed is empty");
}

int ask_secret(const char *what, struct buffer *out, struct error *err)
{
	AUTO_FREE char *safe = text_escaped(what);
	struct termios shown;
	bool on_terminal = isatty(0) && tcgetattr(0, &shown) == 0;
	int r;

	if (on_terminal) {
		struct termios hidden = shown;

		/* Ctrl-C comes as a character: the terminal is put right before we end. */
		hidden.c_lflag &= (tcflag_t) ~(ECHO | ISIG);
		if (tcsetattr(0, TCSAFLUSH, &hidden) < 0)
			return error_sys(err, "hide what is typed on this terminal");
		(void)fprintf(stderr, "%s: ", safe);
	}
	r = read_line(on_terminal, out, err);
	if (on_terminal) {
		(void)tcsetattr(0, TCSAFLUSH, &shown);
		(void)fputs("\n", stderr);
	}
	return r < 0 ? error_wrap(err, "%s", safe) : 0;
}

static int ask_and_keep(const struct world *w, const struct spec_secret *s, struct error *err)
{
	AUTO_SECRET_BUFFER value = BUFFER_INIT;
	AUTO_FREE char *what = xasprintf("%s%s%s%s", s->o.name, s->description.text ? " (" : "",
					 s->description.text ? s->description.text : "",
					 s->description.text ? ")" : "");
	int r = ask_secret(what, &value, err);

	return r < 0 ? r
		     : secret_store_write(w->paths, w->record.id, s->o.name, value.data, value.size,
					  err);
}

int ask_secrets(const struct world *w, const struct plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && isatty(0) && i < plan->count; i++) {
		const struct action *a = &plan->actions[i];
		const struct spec_secret *s =
			a->object == OBJECT_SECRET ? environment_secret(w->wanted, a->name) : NULL;

		if (s && s->prompt.at.is_set && s->prompt.value)
			r = ask_and_keep(w, s, err);
	}
	return r;
}
