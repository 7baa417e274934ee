/* SPDX-License-Identifier: MIT */
/* The record of an environment as the text of state.json. */
/*
 * DOC: Theory of Operation
 *
 * It is one JSON object, written so that each container has a line of its own. A reader that finds
 * it so parses line by line: memory for one container is used again for the next, and a thousand of
 * them cost no more than they say. What somebody else formatted is parsed as a whole.
 */
#include "orchestrator/state/env_record.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/map.h"

#define BEGIN "\n\"containers\":{\n"
#define END "}}\n"

void env_record_print(const struct env_record *r, struct buffer *out)
{
	AUTO_JSON all = env_record_to_json(r);
	AUTO_JSON head = json_new_object();
	struct json *containers = json_member_object(all, "containers");

	for (void *i = json_iter(all); i; i = json_iter_next(all, i))
		if (json_iter_value(i) != containers)
			json_set(head, json_iter_key(i), json_ref(json_iter_value(i)));
	json_print(head, 0, false, out);
	out->data[--out->size] = '\0';
	buffer_add_str(out, "," BEGIN);
	for (void *i = json_iter(containers), *next; i; i = next) {
		next = json_iter_next(containers, i);
		buffer_printf(out, "\"%s\":", json_iter_key(i));
		json_print(json_iter_value(i), 0, false, out);
		buffer_add_str(out, next ? ",\n" : "\n");
	}
	buffer_add_str(out, END);
}

static int parse_whole(const char *text, size_t size, const char *what, struct env_record *ret,
		       struct error *err)
{
	AUTO_JSON v = NULL;
	int r = json_parse(text, size, size, what, &v, err);

	return r < 0 ? r : env_record_from_json(v, what, ret, err);
}

static int parse_head(const char *text, size_t size, const char *what, struct env_record *ret,
		      struct error *err)
{
	AUTO_BUFFER head = BUFFER_INIT;

	buffer_add(&head, text, size && text[size - 1] == ',' ? size - 1 : size);
	buffer_add_char(&head, '}');
	return parse_whole(head.data, head.size, what, ret, err);
}

/* Return: 1 to go on */
static int parse_line(const char *line, size_t size, const char *what, struct buffer *scratch,
		      struct env_record *r, struct error *err)
{
	AUTO_JSON v = NULL;
	int ret;

	buffer_clear(scratch);
	buffer_add_str(scratch, "{\"containers\":{");
	buffer_add(scratch, line, size && line[size - 1] == ',' ? size - 1 : size);
	buffer_add_str(scratch, "}}");
	ret = json_parse(scratch->data, scratch->size, scratch->size, what, &v, err);
	if (ret == 0)
		ret = env_record_take_new(r, v, what, err);
	return ret < 0 ? ret : 1;
}

static int check_names(const struct env_record *r, const char *what, struct error *err)
{
	struct map seen = MAP_INIT;
	const char *twice = NULL;

	for (size_t i = 0; !twice && i < r->container_count; i++)
		if (map_set(&seen, r->containers[i].name, r->containers[i].name))
			twice = r->containers[i].name;
	map_release(&seen, NULL);
	return twice ? error_set(err, E_INVALID, "%s: container '%s' is in it twice", what, twice)
		     : 0;
}

static int parse_lines(const char *at, const char *end, const char *what, struct env_record *r,
		       struct error *err)
{
	AUTO_BUFFER scratch = BUFFER_INIT;
	const char *newline;
	int ret = 1;

	for (; ret > 0 && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
		if (newline + 1 == end && str_starts(at, END))
			return check_names(r, what, err);
		ret = parse_line(at, (size_t)(newline - at), what, &scratch, r, err);
	}
	return ret < 0 ? ret : error_set(err, E_INVALID, "%s: it ends too early", what);
}

int env_record_parse(const char *text, size_t size, const char *what, struct env_record *ret,
		     struct error *err)
{
	const char *begin = memmem(text, size, BEGIN, strlen(BEGIN));
	struct env_record r = { 0 };
	int result;

	if (!begin)
		return parse_whole(text, size, what, ret, err);
	result = parse_head(text, (size_t)(begin - text), what, &r, err);
	if (result == 0)
		result = parse_lines(begin + strlen(BEGIN), text + size, what, &r, err);
	if (result < 0)
		env_record_release(&r);
	else
		*ret = r;
	return result;
}
