/* SPDX-License-Identifier: MIT */
/* Every field of the tables, changed alone: told once, in the class of its row, and the hash
 * changes if the field takes part. A row that the environment below does not reach fails the test.
 */
#include "base/alloc.h"
#include "base/map.h"
#include "spec/fields/fields.h"
#include "spec/spec.h"
#include "tests/unit/test.h"

static const char everything[] =
	"name: all\n"
	"networks: { n: { subnet: 10.9.0.0/24, egress: [\"example.org:443\"] } }\n"
	"volumes: { v: { size: 1GiB } }\n"
	"files: { f: { content: text } }\n"
	"secrets: { s: { generate: { bytes: 24 } } }\n"
	"containers:\n"
	"  a:\n"
	"    image: docker.io/library/a:1\n"
	"    mounts: [{ type: volume, source: v, target: /v }]\n"
	"    sockets: [\"./s.sock:/run/s.sock\"]\n"
	"    files: [{ name: f, target: /f }]\n"
	"    secrets: [{ name: s }]\n"
	"    networks: { n: { address: 10.9.0.5 } }\n"
	"    ports: [\"8080:80\"]\n"
	"    depends_on: { b: started }\n"
	"    hooks: { create: { run: make }, start: { run: make }, stop: { run: make } }\n"
	"    restart: { policy: always }\n"
	"    stop: { grace: 5s }\n"
	"    resources: { memory: 1GiB }\n"
	"    logging: { files: 2 }\n"
	"    ulimits: { nofile: 1024 }\n"
	"    capabilities: { add: [NET_ADMIN] }\n"
	"    kernel: { cmdline: quiet }\n"
	"    health: { http: { port: 80 } }\n"
	"    watch: [{ path: ./src, action: restart }]\n"
	"  b:\n"
	"    image: docker.io/library/b:1\n"
	"    health: { tcp: { port: 80 } }\n"
	"    processes:\n"
	"      p: { command: serve, depends_on: { q: done }, watch: [{ path: ./src, action: "
	"restart }],\n"
	"           restart: { policy: always }, stop: { grace: 5s }, health: { exec: test } }\n"
	"      q: { command: work, kind: task }\n";

struct walk {
	const struct environment *before;
	struct environment *env; /* the same, changed and put back again and again */
	struct map seen;         /* "type.field" */
	size_t changed;
};

static struct environment *load(void)
{
	struct environment *env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct spec_options o = SPEC_OPTIONS_INIT;

	o.text = everything;
	o.text_size = strlen(everything);
	o.text_name = "env.yaml";
	o.text_dir = "/project";
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &diags, &err) < 0) {
		AUTO_BUFFER out = BUFFER_INIT;

		diagnostics_print(&diags, false, &out);
		fail_msg("%s", buffer_str(&out));
	}
	return env;
}

struct told {
	struct buffer text;
	size_t count;
	enum spec_class highest, lowest;
};

static void count_change(void *arg, const struct spec_change *c)
{
	struct told *t = arg;

	t->highest = !t->count || c->change_class > t->highest ? c->change_class : t->highest;
	t->lowest = !t->count || c->change_class < t->lowest ? c->change_class : t->lowest;
	t->count++;
	buffer_printf(&t->text, "%s %s %s; ", c->object, c->field,
		      spec_class_name(c->change_class));
}

/* The environment now differs in one field; @count: changes it has to be. */
static void check(struct walk *w, const struct object_type *type, const struct field *f,
		  enum spec_class class, size_t count, bool is_hashed)
{
	AUTO_FREE char *key = xasprintf("%s.%s", type->word, f->name);
	struct told told = { .text = BUFFER_INIT };
	char old[65], new[65];

	spec_diff(w->before, w->env, count_change, &told);
	spec_hash(w->before, old);
	spec_hash(w->env, new);
	if (told.count != count || told.highest != class || told.lowest != class)
		fail_msg("%s: %zu of class %s expected, told is: %s", key, count,
			 spec_class_name(class), buffer_str(&told.text));
	if ((strcmp(old, new) != 0) != is_hashed)
		fail_msg("%s: the hash %s", key, is_hashed ? "stays" : "changes");
	buffer_release(&told.text);
	(void)map_set(&w->seen, key, NULL);
	w->changed++;
}

static size_t value_size(const struct field *f)
{
	switch (f->kind) {
	case KIND_TEXT:
		return sizeof(struct spec_text);
	case KIND_FLAG:
		return sizeof(struct spec_flag);
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_DURATION:
	case KIND_MODE:
		return sizeof(struct spec_number);
	case KIND_CHOICE:
		return sizeof(struct spec_choice);
	case KIND_TEXTS:
		return sizeof(struct spec_texts);
	case KIND_COMMAND:
		return sizeof(struct spec_command);
	case KIND_PAIRS:
		return sizeof(struct spec_pairs);
	case KIND_OBJECT:
	case KIND_LIST:
	case KIND_MAP:
		break;
	}
	return sizeof(struct object_list);
}

/* Another value than the one that is there, as it would come from a file. */
static void change_value(const struct field *f, void *at)
{
	static struct spec_text text = { { .is_set = true }, "changed" };
	static struct spec_pair pair = { "CHANGED", { 0 }, { { .is_set = true }, "changed" } };
	struct spec_choice *choice = at;
	const struct choice *other = f->choices;

	switch (f->kind) {
	case KIND_TEXT:
		*(struct spec_text *)at = text;
		break;
	case KIND_FLAG:
		((struct spec_flag *)at)->value = !((struct spec_flag *)at)->value;
		break;
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_DURATION:
	case KIND_MODE:
		((struct spec_number *)at)->value += 1024;
		break;
	case KIND_CHOICE:
		while (other->value == choice->value)
			other++;
		choice->value = other->value;
		break;
	case KIND_TEXTS:
		*(struct spec_texts *)at = (struct spec_texts){ .items = &text, .count = 1 };
		break;
	case KIND_COMMAND:
		*(struct spec_command *)at = (struct spec_command){ .items = &text, .count = 1 };
		break;
	case KIND_PAIRS:
		*(struct spec_pairs *)at = (struct spec_pairs){ .items = &pair, .count = 1 };
		break;
	case KIND_OBJECT:
	case KIND_LIST:
	case KIND_MAP:
		((struct object_list *)at)->count--;
		return;
	}
	((struct spec_value *)at)->is_set = true;
}

static bool is_key(const struct object_type *type, const struct field *list, const struct field *f)
{
	return list && list->kind == KIND_LIST &&
	       ((type->key && strcmp(type->key, f->name) == 0) ||
		(type->key2 && strcmp(type->key2, f->name) == 0));
}

static void walk_object(struct walk *w, const struct object_type *type, const struct field *list,
			void *object, bool is_hashed);

static void walk_field(struct walk *w, const struct object_type *type, const struct field *list,
		       const struct field *f, void *object, bool is_hashed)
{
	char saved[128];
	size_t size = value_size(f);
	void *at = field_at(f, object);

	assert_true(size <= sizeof(saved));
	if (f->kind == KIND_OBJECT) {
		if (((struct spec_value *)at)->is_set) {
			AUTO_FREE char *key = xasprintf("%s.%s", type->word, f->name);

			(void)map_set(&w->seen, key, NULL);
			walk_object(w, f->object, NULL, at, is_hashed);
		}
		return;
	}
	if (f->kind == KIND_LIST || f->kind == KIND_MAP) {
		struct object_list *items = at;

		if (!items->count)
			return;
		for (size_t i = 0; i < items->count; i++)
			walk_object(w, f->object, f, list_item(items, f->object, i), is_hashed);
	}
	memcpy(saved, at, size);
	change_value(f, at);
	/* The key of a list's item is which item it is: another one is one gone and one come. */
	if (is_key(type, list, f))
		check(w, type, f, list->change, 2, is_hashed);
	else
		check(w, type, f, f->change, 1, is_hashed);
	memcpy(at, saved, size);
}

static void walk_object(struct walk *w, const struct object_type *type, const struct field *list,
			void *object, bool is_hashed)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];

		if (!(f->flags & FIELD_APPLIED))
			walk_field(w, type, list, f, object,
				   is_hashed && !(f->flags & FIELD_UNHASHED));
	}
}

static void every_row_was_seen(const struct walk *w, const struct object_type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		AUTO_FREE char *key = xasprintf("%s.%s", type->word, f->name);

		if (f->flags & FIELD_APPLIED)
			continue;
		if (!map_has(&w->seen, key))
			fail_msg("%s is not in the environment of this test", key);
		if (f->object)
			every_row_was_seen(w, f->object);
	}
}

TEST(every_field_is_told_in_its_class)
{
	AUTO_ENVIRONMENT before = load();
	AUTO_ENVIRONMENT env = load();
	struct walk w = { .before = before, .env = env };

	walk_object(&w, &environment_type, NULL, env, true);
	every_row_was_seen(&w, &environment_type);
	print_message("%zu fields changed one by one\n", w.changed);
	map_release(&w.seen, NULL);
}
