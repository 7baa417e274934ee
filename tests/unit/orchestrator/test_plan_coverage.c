/* SPDX-License-Identifier: MIT */
/* Every field of the language that can change has a golden plan that shows what its change costs,
 * and so has every class. */
/*
 * The field tables are walked; each field gives a pattern of the paths spec_diff() reports for it.
 * What the goldens showed is matched against it. Runs after the goldens, which note what they see.
 */
#include "tests/unit/orchestrator/plan_coverage.h"

#include <fnmatch.h>

#include "base/alloc.h"
#include "orchestrator/plan/from_spec.h"
#include "spec/fields/fields.h"
#include "tests/unit/test.h"

static struct strlist noted; /* "container resources.memory" */
static bool classes_noted[PLAN_CLASSES], classes_due[PLAN_CLASSES];

/* "mounts[/src].access" as "mounts@.access": brackets mean something to fnmatch(). */
static void add_plain(struct buffer *out, const char *field)
{
	bool inside = false;

	for (; *field; field++) {
		if (*field == '[')
			buffer_add_char(out, '@');
		inside = *field == '[' || (inside && *field != ']');
		if (!inside && *field != ']')
			buffer_add_char(out, *field);
	}
}

void coverage_note(const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct action *a = &p->actions[i];

		for (size_t n = 0; n < a->change_count; n++) {
			AUTO_BUFFER line = BUFFER_INIT;

			buffer_printf(&line, "%s ", object_kind_name(a->object));
			add_plain(&line, a->changes[n].field);
			classes_noted[a->changes[n].class] = true;
			if (!strlist_has(&noted, buffer_str(&line)))
				strlist_add(&noted, buffer_str(&line));
		}
	}
}

static bool is_noted(const char *pattern)
{
	for (size_t i = 0; i < noted.count; i++)
		if (fnmatch(pattern, noted.items[i], 0) == 0)
			return true;
	return false;
}

static size_t walk(const struct object_type *type, const char *path);

static size_t missing(const char *pattern)
{
	if (is_noted(pattern))
		return 0;
	print_error("no golden plan shows a change of: %s\n", pattern);
	return 1;
}

/* What a change of a container's field costs with what machines can do has to be shown. */
static void note_due(const char *path, enum spec_class class)
{
	AUTO_FREE char *field = xstrdup(strchr(path, ' ') + 1);

	for (char *p = field; *p; p++)
		*p = *p == '@' ? '[' : *p;
	if (str_starts(path, "container "))
		classes_due[class_now(field, class)] = true;
}

/* Return: how many of the field and what is in it nobody shows */
static size_t walk_field(const struct object_type *type, const struct field *f, const char *path)
{
	AUTO_FREE char *below = xasprintf("%s%s%s", path, str_ends(path, " ") ? "" : ".", f->name);
	AUTO_FREE char *item = NULL;
	bool is_key =
		type->key && (str_equal(type->key, f->name) || str_equal(type->key2, f->name));

	/* Not compared, or what items are told apart by: another value is another item. */
	if ((f->flags & (FIELD_APPLIED | FIELD_COMPUTED)) || is_key)
		return 0;
	note_due(below, f->change);
	switch (f->kind) {
	case KIND_PAIRS:
		item = xasprintf("%s.*", below);
		return missing(item);
	case KIND_OBJECT:
		return walk(f->object, below);
	case KIND_MAP:
		item = xasprintf("%s.*", below);
		return walk(f->object, item);
	case KIND_LIST:
		item = xasprintf("%s@", below);
		return missing(item) + walk(f->object, item);
	case KIND_TEXT:
	case KIND_FLAG:
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_DURATION:
	case KIND_MODE:
	case KIND_CHOICE:
	case KIND_TEXTS:
	case KIND_COMMAND:
		break;
	}
	return missing(below);
}

static size_t walk(const struct object_type *type, const char *path)
{
	size_t count = 0;

	for (size_t i = 0; i < type->field_count; i++)
		count += walk_field(type, &type->fields[i], path);
	return count;
}

TEST(every_field_and_class_has_a_golden_plan)
{
	size_t count = walk(&container_type, "container ") + walk(&network_type, "network ") +
		       walk(&volume_type, "volume ");

	assert_true(noted.count > 0);
	for (size_t i = 0; i < PLAN_CLASSES; i++) {
		if (classes_due[i] && !classes_noted[i])
			print_error("no golden plan shows a change of class %zu\n", i);
		count += classes_due[i] && !classes_noted[i];
	}
	strlist_release(&noted);
	assert_int_equal(count, 0);
}
