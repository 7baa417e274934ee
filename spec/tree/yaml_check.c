/* SPDX-License-Identifier: MIT */
/* Bytes a YAML file may not have, and the parser's problems in plain words. */
#include "spec/tree/yaml_check.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "spec/report/report.h"
#include "spec/spec.h"

static bool bad_byte(const struct source *source, struct diagnostics *diags, unsigned line,
		     unsigned column, const char *what, const char *help)
{
	struct source_pos pos = { source->name, line, column };
	struct diagnostic *f = report(diags, "E004", pos, 1, "%s", what);
	if (help)
		report_help(f, "%s", help);
	return false;
}

/* What is wrong with a code point, NULL if nothing. */
static const char *bad_code(uint32_t code, const char **ret_help)
{
	*ret_help = NULL;
	if (code == 0)
		return "a NUL character; is this a text file?";
	if (code == 0xfeff) {
		*ret_help = "remove it; it comes from joining files that each began with one";
		return "a byte order mark in the middle of the file";
	}
	if (code == 0x85 || code == 0x2028 || code == 0x2029) {
		*ret_help = "old and new YAML differ on what it means; inside double quotes write "
			    "\\N, \\L or \\P";
		return "an invisible line separator";
	}
	if ((code < 0x20 && code != '\t' && code != '\n' && code != '\r') ||
	    (code >= 0x7f && code < 0xa0) || code == 0xfffe || code == 0xffff) {
		*ret_help = "inside double quotes write it as \\xNN";
		return "a control character";
	}
	return NULL;
}

bool yaml_check_bytes(const struct source *source, struct diagnostics *diags)
{
	if (source->size > SPEC_FILE_MAX) {
		report(diags, "E003", (struct source_pos){ source->name, 1, 1 }, 1,
		       "the file is larger than 16 MiB");
		return false;
	}
	const char *s = source->text;
	if (source->size >= 2 && (memcmp(s, "\xff\xfe", 2) == 0 || memcmp(s, "\xfe\xff", 2) == 0))
		return bad_byte(source, diags, 1, 1, "the file is UTF-16; ctrz reads UTF-8",
				"convert it: iconv -f UTF-16 -t UTF-8");
	unsigned line = 1, column = 1;
	for (size_t i = str_starts(s, "\xef\xbb\xbf") ? 3 : 0; i < source->size;) {
		unsigned char c = (unsigned char)s[i];
		if (c == '\n' || (c == '\r' && s[i + 1] != '\n')) {
			line++;
			column = 1;
			i++;
			continue;
		}
		uint32_t code = c;
		size_t used = 1;
		if (c >= 0x80) {
			used = utf8_decode(s + i, source->size - i, &code);
			if (!used)
				return bad_byte(source, diags, line, column, "this is not UTF-8",
						"save the file as UTF-8");
		}
		const char *help, *what = c >= ' ' && c < 0x7f ? NULL : bad_code(code, &help);
		if (what)
			return bad_byte(source, diags, line, column, what, help);
		i += used;
		column++;
	}
	return true;
}

/* --- what libyaml reads as YAML 1.1, or not strictly --- */

void yaml_reader_init(struct yaml_reader *r, const struct source *source, struct diagnostics *diags)
{
	*r = (struct yaml_reader){ .source = source, .diags = diags, .line = 1, .column = 1 };
	r->offset = str_starts(source->text, "\xef\xbb\xbf") ? 3 : 0;
}

static void step(struct yaml_reader *r)
{
	const char *s = r->source->text + r->offset;
	size_t used = 1;
	while (((unsigned char)s[used] & 0xc0) == 0x80)
		used++;
	r->line += *s == '\n';
	r->column = *s == '\n' ? 1 : r->column + 1;
	r->offset += used;
	r->index++;
}

static bool strict(struct yaml_reader *r, const char *what, const char *help)
{
	struct source_pos pos = { r->source->name, r->line, r->column };
	report_help(report(r->diags, "E001", pos, 1, "%s", what), "%s", help);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || !c;
}

/* Indicators and comments between two events. */
static bool check_gap(struct yaml_reader *r, size_t until)
{
	const char *text = r->source->text;
	bool in_comment = false;
	for (; r->index < until && r->offset < r->source->size; step(r)) {
		char c = text[r->offset], before = r->offset ? text[r->offset - 1] : '\n';
		char next = text[r->offset + 1];
		if (c == '\n')
			in_comment = false;
		if (in_comment)
			continue;
		if (c == '#' && r->index >= r->end) {
			if (!is_blank(before) && r->index)
				return strict(
					r, "a comment needs a space before its #",
					"if the # belongs to the text, put the text in quotes");
			in_comment = true;
		}
		if (c == '?' && !is_blank(next) && r->index >= r->end)
			return strict(r, "a text cannot begin with \"?\" here", "put it in quotes");
	}
	return true;
}

static bool check_start(struct yaml_reader *r, const struct yaml_span *span)
{
	const char *s = r->source->text + r->offset;
	if (span->anchor && *s == '&') {
		char after = s[1 + strlen(span->anchor)];
		if (!is_blank(after))
			return strict(r, "a name behind & is letters, digits, _ and -",
				      "choose another name, or put the text in quotes");
	}
	if (span->is_collection && *s == '?' && !is_blank(s[1]))
		return strict(r, "a text cannot begin with \"?\" here", "put it in quotes");
	if (span->plain && str_equal(span->plain, "-"))
		return strict(r, "a lone \"-\" inside [ ] or { } needs quotes", "write \"-\"");
	if (span->is_block_text) {
		const char *at = s;
		/* Behind an anchor or a tag. */
		while (*at && *at != '|' && *at != '>' && *at != '\n')
			at++;
		at += 1 + strspn(at + (*at != 0), "0123456789+-");
		if (at[-1] && *at == '#')
			return strict(r, "a comment needs a space before its #",
				      "write a space behind the | or >");
	}
	return true;
}

bool yaml_check_span(struct yaml_reader *r, const struct yaml_span *span)
{
	if (!check_gap(r, span->start))
		return false;
	if (span->start >= r->end && r->index == span->start && !check_start(r, span))
		return false;
	while (r->index < span->end && r->offset < r->source->size)
		step(r);
	if (span->end > r->end)
		r->end = span->end;
	if (!span->is_end)
		r->ends_in_block_text = span->is_block_text;
	bool is_closed = span->is_quoted || span->is_alias;
	if (is_closed && r->source->text[r->offset] == '#')
		return strict(r, "a comment needs a space before its #",
			      "if the # belongs to the text, put the text in quotes");
	return true;
}

bool yaml_check_end(struct yaml_reader *r)
{
	const struct source *s = r->source;
	if (!r->ends_in_block_text || !s->size || s->text[s->size - 1] == '\n')
		return true;
	size_t at = s->size;
	while (at && (s->text[at - 1] == ' ' || s->text[at - 1] == '\t'))
		at--;
	if (at == s->size || !at || s->text[at - 1] != '\n')
		return true;
	return strict(r, "the file ends in blanks inside a text of several lines",
		      "remove them, or end the line");
}

/* libyaml's words, and ours. */
struct wording {
	const char *problem, *context; /* how they begin; NULL = any */
	const char *text, *help;
};

static const struct wording wordings[] = {
	{ "found unexpected end of stream", "while scanning a quoted scalar",
	  "the file ends inside a quoted text", "the closing quote is missing" },
	{ "found unexpected document indicator", "while scanning a quoted scalar",
	  "\"---\" or \"...\" inside a quoted text", "the closing quote is missing" },
	{ "mapping values are not allowed in this context", NULL,
	  "a \":\" that cannot be a key's here",
	  "if it belongs to the text, put the text in quotes; else look at the indentation" },
	{ "could not find expected ':'", "while scanning a simple key",
	  "expected \":\" after the key of this line",
	  "write key: value, with a space behind the colon" },
	{ "did not find expected key", "while parsing a block mapping",
	  "expected a key of the map above, with the same indentation", NULL },
	{ "did not find expected '-' indicator", NULL,
	  "expected the next \"- \" of the list above, with the same indentation", NULL },
	{ "did not find expected ',' or '}'", NULL, "expected \",\" or \"}\"",
	  "a text with , : { } [ ] in it needs quotes inside { }" },
	{ "did not find expected ',' or ']'", NULL, "expected \",\" or \"]\"",
	  "a text with , : { } [ ] in it needs quotes inside [ ]" },
	{ "found unknown escape character", NULL, "an unknown escape in a double-quoted text",
	  "a backslash is written \\\\ there; in single quotes it needs no escape" },
	{ "did not find expected hexadecimal number", NULL,
	  "expected hexadecimal digits after the escape", NULL },
	{ "found invalid Unicode character escape code", NULL, "the escape names no character",
	  NULL },
	{ "block sequence entries are not allowed in this context", NULL,
	  "a list cannot begin on the line of its key",
	  "put \"- \" on a line of its own, indented" },
	{ "block mapping keys are not allowed", NULL, "a map cannot begin here", NULL },
	{ "found undefined tag handle", NULL, "a tag that is not declared", "remove the tag" },
	{ "did not find expected <document start>", NULL, "text after the end of the document",
	  "a file holds one document" },
	{ "found character that cannot start any token", NULL, NULL, NULL },
	{ "found unexpected ':'", NULL, "a \":\" that cannot be here",
	  "put a text with : in it in quotes" },
	{ "found unknown directive name", NULL, "an unknown directive", "remove the line with %" },
	{ "could not find expected directive name", NULL, "expected a directive behind %",
	  "a text that begins with % needs quotes" },
	{ "found incompatible YAML document", NULL, "ctrz reads YAML 1.2",
	  "remove the line with %YAML" },
	{ "found a tab character", NULL, "a tab where indentation is expected", "use spaces" },
	{ "did not find expected alphabetic or numeric character", "while scanning an alias",
	  "a \"*\" begins an alias, and no name follows", "put the text in quotes" },
	{ "did not find expected alphabetic or numeric character", "while scanning an anchor",
	  "a \"&\" begins an anchor, and no name follows", "put the text in quotes" },
	{ "did not find expected node content", NULL, "expected a value", NULL },
};

static const struct wording *find_wording(const struct yaml_problem *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(wordings); i++) {
		const struct wording *w = &wordings[i];
		if (str_starts(p->problem, w->problem) &&
		    (!w->context || (p->context && str_starts(p->context, w->context))))
			return w;
	}
	return NULL;
}

static char char_at(const struct source *source, struct source_pos pos, bool *ret_leads_line)
{
	size_t size;
	const char *line = source_line((struct source *)(uintptr_t)source, pos.line, &size);
	*ret_leads_line = false;
	if (!line)
		return 0;
	size_t at = 0;
	for (unsigned column = 1; column < pos.column && at < size; column++) {
		uint32_t code;
		size_t used = utf8_decode(line + at, size - at, &code);
		at += used ? used : 1;
	}
	*ret_leads_line = strspn(line, " \t") >= at;
	return at < size ? line[at] : 0;
}

static struct diagnostic *say_bad_start(const struct source *source, const struct yaml_problem *p,
					struct diagnostics *diags)
{
	bool leads;
	char c = char_at(source, p->at, &leads);
	struct diagnostic *f;
	if (c == '\t') {
		f = report(diags, "E001", p->at, 1, "a tab cannot indent");
		report_help(f, "YAML indents with spaces only");
		return f;
	}
	f = report(diags, "E001", p->at, 1, "a text cannot begin with \"%c\"", c ? c : '?');
	report_help(f, "put it in quotes");
	return f;
}

void yaml_say_problem(const struct source *source, const struct yaml_problem *p,
		      struct diagnostics *diags)
{
	struct yaml_problem known = *p;
	known.problem = p->problem ? p->problem : "not YAML";
	const struct wording *w = find_wording(&known);
	if (w && !w->text) {
		say_bad_start(source, &known, diags);
		return;
	}
	/* A key without its colon is where it begins, not where the parser gave up. */
	if (known.context && str_starts(known.context, "while scanning a simple key"))
		known.at = known.context_at;
	p = &known;
	bool leads;
	char c = char_at(source, p->at, &leads);
	struct diagnostic *f;
	if (c == '\t' && leads) {
		f = report(diags, "E001", p->at, 1, "a tab cannot indent");
		report_help(f, "YAML indents with spaces only");
		return;
	}
	f = report(diags, "E001", p->at, 1, "%s", w ? w->text : known.problem);
	if (p->context && p->context_at.line && p->context_at.line < p->at.line) {
		if (str_starts(p->context, "while parsing a block"))
			report_other(f, p->context_at, "it begins here, at column %u",
				     p->context_at.column);
		else
			report_other(f, p->context_at, "it begins here");
	}
	if (w && w->help)
		report_help(f, "%s", w->help);
	else if (w && str_starts(w->problem, "did not find expected key") && p->context_at.line)
		report_help(f, "keys of one map begin in one column: here %u, there %u",
			    p->at.column, p->context_at.column);
}
