/* SPDX-License-Identifier: MIT */
/* libyaml's events to a located tree. The only file that knows libyaml. */
#include "spec/tree/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "spec/report/report.h"
#include "spec/tree/yaml_check.h"

enum { SMALL_MAP = 12 };

struct frame {
	struct node *node;
	size_t first; /* of its children on the stack */
};

struct builder {
	struct spec_arena *arena;
	const struct source *source;
	struct diagnostics *diags;
	struct map anchors; /* name to node */
	struct frame frames[YAML_DEPTH_MAX];
	size_t depth;
	struct node **stack;
	size_t count, room;
	struct node *root;
	uint32_t nodes, alias_nodes;
	unsigned documents, flow_depth;
	bool has_failed;
	struct yaml_reader reader;
};

static struct source_pos place(const struct builder *b, yaml_mark_t mark)
{
	return (struct source_pos){ b->source->name, (unsigned)mark.line + 1,
				    (unsigned)mark.column + 1 };
}

static void fail(struct builder *b, const char *code, struct source_pos pos, const char *what,
		 const char *help)
{
	struct diagnostic *f = report(b->diags, code, pos, 1, "%s", what);
	if (help)
		report_help(f, "%s", help);
	b->has_failed = true;
}

static void push(struct builder *b, struct node *n)
{
	if (b->depth == 0 && !b->root) {
		b->root = n;
		return;
	}
	GROW_ARRAY(b->stack, b->count, b->room);
	b->stack[b->count++] = n;
}

static struct node *new_node(struct builder *b, enum node_kind kind, const yaml_event_t *e)
{
	if (++b->nodes > YAML_NODES_MAX) {
		fail(b, "E003", place(b, e->start_mark), "the file has more than 2 million values",
		     "split it with include:");
		return NULL;
	}
	struct node *n = arena_alloc(b->arena, sizeof(*n));
	n->pos = place(b, e->start_mark);
	n->kind = (uint8_t)kind;
	n->weight = 1;
	bool is_line = e->end_mark.line == e->start_mark.line;
	bool is_empty = is_line && e->end_mark.column <= e->start_mark.column;
	/* Of a text of several lines the first is underlined to its end. */
	n->width = kind != NODE_SCALAR || is_empty ? 1
		   : is_line ? (unsigned)(e->end_mark.column - e->start_mark.column)
			     : 1000;
	return n;
}

static void remember(struct builder *b, const yaml_char_t *anchor, struct node *n)
{
	if (anchor && n)
		map_set(&b->anchors, (const char *)anchor, n);
}

/* The type a tag asks for; false if it is not one of YAML's own. */
static bool tag_allows(struct builder *b, const yaml_event_t *e, const char *tag,
		       enum node_kind kind, bool *ret_text)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	*ret_text = false;
	if (!tag)
		return true;
	if (strcmp(tag, "!") == 0) {
		*ret_text = kind == NODE_SCALAR;
		return true;
	}
	if (str_starts(tag, prefix)) {
		const char *name = tag + strlen(prefix);
		if (kind == NODE_SCALAR && strcmp(name, "str") == 0) {
			*ret_text = true;
			return true;
		}
		static const char *const scalars[] = { "int", "bool", "float", "null" };
		for (size_t i = 0; kind == NODE_SCALAR && i < ARRAY_SIZE(scalars); i++)
			if (strcmp(name, scalars[i]) == 0)
				return true;
		if (strcmp(name, kind == NODE_MAPPING ? "map" : "seq") == 0)
			return true;
	}
	struct diagnostic *f = report(b->diags, "E006", place(b, e->start_mark),
				      (unsigned)strlen(tag), "unknown tag \"%s\"", tag);
	if (str_equal(tag, "!reset"))
		report_help(f, "to take a key away in an overlay write KEY: null");
	else if (str_equal(tag, "!override"))
		report_help(f, "lists without names are replaced by an overlay as they are");
	else
		report_help(f, "values are typed by the key they belong to; remove the tag");
	return false;
}

static enum node_style style_of(yaml_scalar_style_t style)
{
	switch (style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		return STYLE_SINGLE;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		return STYLE_DOUBLE;
	case YAML_LITERAL_SCALAR_STYLE:
		return STYLE_LITERAL;
	case YAML_FOLDED_SCALAR_STYLE:
		return STYLE_FOLDED;
	case YAML_ANY_SCALAR_STYLE:
	case YAML_PLAIN_SCALAR_STYLE:
	default:
		return STYLE_PLAIN;
	}
}

static void on_scalar(struct builder *b, const yaml_event_t *e)
{
	struct node *n = new_node(b, NODE_SCALAR, e);
	if (!n)
		return;
	const char *text = (const char *)e->data.scalar.value;
	size_t size = e->data.scalar.length;
	if (memchr(text, 0, size)) {
		fail(b, "E004", n->pos, "the text has a NUL character in it", "remove the \\0");
		return;
	}
	n->text = arena_strndup(b->arena, text, size);
	n->style = (uint8_t)style_of(e->data.scalar.style);
	bool is_text;
	tag_allows(b, e, (const char *)e->data.scalar.tag, NODE_SCALAR, &is_text);
	bool is_typed = e->data.scalar.tag && !is_text;
	n->type = (uint8_t)(is_text || (n->style != STYLE_PLAIN && !is_typed)
				    ? SCALAR_TEXT
				    : scalar_classify(n->text));
	remember(b, e->data.scalar.anchor, n);
	push(b, n);
}

static void on_start(struct builder *b, const yaml_event_t *e, enum node_kind kind,
		     const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct node *n = new_node(b, kind, e);
	if (!n)
		return;
	if (b->depth == YAML_DEPTH_MAX) {
		fail(b, "E003", n->pos, "lists and maps are nested more than 64 deep", NULL);
		return;
	}
	bool is_text;
	tag_allows(b, e, (const char *)tag, kind, &is_text);
	remember(b, anchor, n);
	n->weight = 0; /* open: an alias to it now would be a cycle */
	if (!b->root)
		b->root = n;
	b->frames[b->depth++] = (struct frame){ n, b->count };
}

static void on_alias(struct builder *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct source_pos pos = place(b, e->start_mark);
	struct node *n = map_get(&b->anchors, name);
	if (!n) {
		AUTO_FREE char *text =
			xasprintf("\"*%s\" refers to an anchor that is not above it", name);
		fail(b, "E001", pos, text,
		     "write &name before the first use; a text that starts with * needs quotes");
		return;
	}
	if (n->weight == 0) {
		fail(b, "E003", pos, "an alias inside the very thing it refers to", NULL);
		return;
	}
	b->alias_nodes += n->weight;
	if (b->alias_nodes > YAML_ALIAS_NODES_MAX) {
		fail(b, "E003", pos, "aliases add more than 100,000 values",
		     "write less with aliases, or make files of its parts and include them");
		return;
	}
	push(b, n);
}

static void check_weight(struct builder *b, struct node *n)
{
	uint64_t weight = 1;
	for (size_t i = 0; i < n->count; i++)
		weight += n->kind == NODE_SEQUENCE ? n->items[i]->weight
						   : n->entries[i].value->weight + 1;
	n->weight = weight > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)weight;
	(void)b;
}

static void say_duplicate(struct builder *b, const struct node *first, const struct node *second)
{
	struct diagnostic *f = report(b->diags, "E002", second->pos, second->width,
				      "key \"%s\" is given twice", second->text);
	report_hint(f, "first on line %u", first->pos.line);
	report_other(f, first->pos, "the first one");
}

/* The key equal to entry @i among those kept so far. */
static struct node *find_before(const struct node *n, uint32_t kept, const struct map *seen,
				const char *text)
{
	if (seen)
		return map_get(seen, text);
	for (uint32_t j = 0; j < kept; j++)
		if (strcmp(n->entries[j].key->text, text) == 0)
			return n->entries[j].key;
	return NULL;
}

/* Of keys that are given twice the first stays. */
static void drop_duplicates(struct builder *b, struct node *n)
{
	struct map seen = MAP_INIT;
	bool is_large = n->count > SMALL_MAP;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n->count; i++) {
		struct node *key = n->entries[i].key;
		struct node *first = find_before(n, kept, is_large ? &seen : NULL, key->text);
		if (first) {
			say_duplicate(b, first, key);
			continue;
		}
		if (is_large)
			map_set(&seen, key->text, key);
		n->entries[kept++] = n->entries[i];
	}
	n->count = kept;
	map_release(&seen, NULL);
}

static bool is_merge_key(const struct node *key)
{
	return key->style == STYLE_PLAIN && strcmp(key->text, "<<") == 0;
}

/* Entries of @from whose keys @seen does not hold yet. */
static void merge_from(struct builder *b, struct map *seen, struct node *into, size_t *room,
		       const struct node *from)
{
	for (size_t i = 0; i < from->count; i++) {
		struct node_entry e = from->entries[i];
		if (map_has(seen, e.key->text))
			continue;
		map_set(seen, e.key->text, e.key);
		if (into->count == *room) {
			*room = *room ? *room * 2 : 16;
			struct node_entry *more = arena_array(b->arena, *room, sizeof(*more));
			if (into->count)
				memcpy(more, into->entries, into->count * sizeof(*more));
			into->entries = more;
		}
		into->entries[into->count++] = e;
	}
}

static void merge_value(struct builder *b, struct map *seen, struct node *into, size_t *room,
			const struct node *value)
{
	if (value->kind == NODE_MAPPING) {
		merge_from(b, seen, into, room, value);
		return;
	}
	for (size_t i = 0; value->kind == NODE_SEQUENCE && i < value->count; i++)
		if (value->items[i]->kind == NODE_MAPPING)
			merge_from(b, seen, into, room, value->items[i]);
}

static bool merge_is_valid(struct builder *b, const struct node *value)
{
	bool is_valid = value->kind == NODE_MAPPING || value->kind == NODE_SEQUENCE;
	for (size_t i = 0; value->kind == NODE_SEQUENCE && i < value->count; i++)
		is_valid = is_valid && value->items[i]->kind == NODE_MAPPING;
	if (!is_valid) {
		struct diagnostic *f = report(b->diags, "E007", value->pos, value->width,
					      "the merge key \"<<\" takes a map or a list of maps");
		report_help(f, "for example: <<: *common");
	}
	return is_valid;
}

/* Replace "<<" by what it brings: own keys win, then the maps in their order. */
static void resolve_merge(struct builder *b, struct node *n)
{
	size_t merges = 0;
	for (size_t i = 0; i < n->count; i++)
		merges += is_merge_key(n->entries[i].key);
	if (!merges)
		return;
	struct map seen = MAP_INIT;
	size_t room = 0;
	struct node merged = *n;
	merged.count = 0;
	merged.entries = NULL;
	for (size_t i = 0; i < n->count; i++) {
		if (is_merge_key(n->entries[i].key))
			continue;
		struct node one = { .count = 1, .entries = &n->entries[i] };
		merge_from(b, &seen, &merged, &room, &one);
	}
	for (size_t i = 0; i < n->count; i++) {
		struct node *value = n->entries[i].value;
		if (is_merge_key(n->entries[i].key) && merge_is_valid(b, value))
			merge_value(b, &seen, &merged, &room, value);
	}
	map_release(&seen, NULL);
	n->count = merged.count;
	n->entries = merged.entries;
}

static void close_mapping(struct builder *b, struct node *n, struct node **children, size_t count)
{
	n->count = (uint32_t)(count / 2);
	n->entries = arena_array(b->arena, n->count, sizeof(*n->entries));
	uint32_t kept = 0;
	for (size_t i = 0; i < n->count; i++) {
		struct node *key = children[2 * i];
		bool is_nothing =
			key->kind == NODE_SCALAR && key->type == SCALAR_NULL && !*key->text;
		if (key->kind != NODE_SCALAR || is_nothing) {
			report(b->diags, "E103", key->pos, 1, "a key must be text, this is %s",
			       node_describe(key));
			continue;
		}
		n->entries[kept++] = (struct node_entry){ key, children[2 * i + 1] };
	}
	n->count = kept;
	drop_duplicates(b, n);
	resolve_merge(b, n);
}

static void on_end(struct builder *b)
{
	struct frame frame = b->frames[--b->depth];
	struct node *n = frame.node;
	size_t count = b->count - frame.first;
	struct node **children = b->stack ? b->stack + frame.first : NULL;
	if (n->kind == NODE_MAPPING) {
		close_mapping(b, n, children, count);
	} else {
		n->count = (uint32_t)count;
		n->items = arena_array(b->arena, count, sizeof(*n->items));
		if (count)
			memcpy(n->items, children, count * sizeof(*n->items));
	}
	check_weight(b, n);
	b->count = frame.first;
	if (n != b->root)
		push(b, n);
}

static void on_document(struct builder *b, const yaml_event_t *e)
{
	if (++b->documents == 2)
		fail(b, "E005", place(b, e->start_mark),
		     "a second document starts here; a file holds one",
		     "remove the \"---\" or put the rest into a file of its own (include:)");
}

/* What libyaml takes more loosely than the standard is found in the text beside its events. */
static bool check_text_of(struct builder *b, const yaml_event_t *e)
{
	struct yaml_span span = { .start = e->start_mark.index,
				  .end = e->end_mark.index,
				  .pos = place(b, e->start_mark) };
	if (e->type == YAML_SCALAR_EVENT) {
		yaml_scalar_style_t style = e->data.scalar.style;
		span.is_block_text =
			style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
		span.is_quoted = style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
				 style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
		span.anchor = (const char *)e->data.scalar.anchor;
		if (b->flow_depth && style == YAML_PLAIN_SCALAR_STYLE)
			span.plain = (const char *)e->data.scalar.value;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		span.anchor = (const char *)e->data.sequence_start.anchor;
		b->flow_depth +=
			b->flow_depth || e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		span.anchor = (const char *)e->data.mapping_start.anchor;
		b->flow_depth +=
			b->flow_depth || e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	} else if (e->type == YAML_SEQUENCE_END_EVENT || e->type == YAML_MAPPING_END_EVENT) {
		span.is_quoted = b->flow_depth > 0 && span.end > span.start;
		b->flow_depth -= b->flow_depth > 0;
	}
	span.is_collection =
		e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT;
	span.is_end = e->type == YAML_SEQUENCE_END_EVENT || e->type == YAML_MAPPING_END_EVENT ||
		      e->type == YAML_DOCUMENT_END_EVENT;
	span.is_alias = e->type == YAML_ALIAS_EVENT;
	return e->type == YAML_STREAM_END_EVENT ? yaml_check_end(&b->reader)
						: yaml_check_span(&b->reader, &span);
}

static void on_event(struct builder *b, const yaml_event_t *e)
{
	if (!check_text_of(b, e)) {
		b->has_failed = true;
		return;
	}
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		on_document(b, e);
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(b, e);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(b, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_start(b, e, NODE_SEQUENCE, e->data.sequence_start.anchor,
			 e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		on_start(b, e, NODE_MAPPING, e->data.mapping_start.anchor,
			 e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_end(b);
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	default:
		break;
	}
}

static void on_problem(struct builder *b, const yaml_parser_t *parser)
{
	struct yaml_problem p = {
		.problem = parser->problem,
		.context = parser->context,
		.at = place(b, parser->problem_mark),
		.context_at = place(b, parser->context_mark),
	};
	yaml_say_problem(b->source, &p, b->diags);
	b->has_failed = true;
}

bool yaml_read(struct spec_arena *arena, const struct source *source, struct diagnostics *diags,
	       struct node **ret)
{
	*ret = NULL;
	if (!yaml_check_bytes(source, diags))
		return false;
	struct builder b = { .arena = arena, .source = source, .diags = diags };
	yaml_reader_init(&b.reader, source, diags);
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		abort();
	size_t bom = str_starts(source->text, "\xef\xbb\xbf") ? 3 : 0;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)source->text + bom,
				     source->size - bom);
	for (bool is_done = false; !is_done && !b.has_failed;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			on_problem(&b, &parser);
			break;
		}
		is_done = event.type == YAML_STREAM_END_EVENT;
		on_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	map_release(&b.anchors, NULL);
	free(b.stack);
	*ret = b.root;
	return !b.has_failed;
}
