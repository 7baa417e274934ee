/* SPDX-License-Identifier: MIT */
/* The image store without the rest of ctrz: one command per run, JSON on stdout; what the registry
 * tests drive. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json/json.h"
#include "runtime/host/host_paths.h"
#include "runtime/image/image_store.h"

enum { REGISTRIES_MAX = 8, MIRRORS_MAX = 8 };

struct tool {
	struct host_paths paths;
	struct registry_config registries[REGISTRIES_MAX];
	struct image_store_options options;
	struct image_store *store;
	struct json *events;
	bool keep_events;
};

static struct registry_config *registry_of(struct tool *t, const char *host)
{
	for (size_t i = 0; i < t->options.registry_count; i++)
		if (str_equal(t->registries[i].host, host))
			return &t->registries[i];
	if (t->options.registry_count == REGISTRIES_MAX)
		abort();
	struct registry_config *r = &t->registries[t->options.registry_count++];
	r->host = xstrdup(host);
	return r;
}

static void add_mirror(struct registry_config *r, const char *host)
{
	if (!r->mirrors)
		r->mirrors = xcalloc(MIRRORS_MAX, sizeof(*r->mirrors));
	if (r->mirror_count == MIRRORS_MAX)
		abort();
	r->mirrors[r->mirror_count++] = (struct registry_mirror){ .host = xstrdup(host) };
}

/* --NAME=VALUE; registry settings are --NAME=HOST=VALUE. */
static void take_option(struct tool *t, const char *option)
{
	AUTO_FREE char *name = xstrdup(option);
	char *value = strchr(name, '=');
	if (!value)
		abort();
	*value++ = '\0';
	char *second = strchr(value, '=');
	if (str_equal(name, "--platform")) {
		t->options.platform = xstrdup(value);
	} else if (str_equal(name, "--stall")) {
		t->options.stall_seconds = (unsigned)strtoul(value, NULL, 10);
	} else if (str_equal(name, "--parallel")) {
		t->options.max_downloads = (unsigned)strtoul(value, NULL, 10);
	} else if (str_equal(name, "--events")) {
		t->keep_events = true;
	} else if (str_equal(name, "--insecure")) {
		registry_of(t, value)->insecure = true;
	} else if (second) {
		*second++ = '\0';
		struct registry_config *r = registry_of(t, value);
		if (str_equal(name, "--mirror"))
			add_mirror(r, second);
		else if (str_equal(name, "--ca"))
			r->ca_file = xstrdup(second);
		else if (str_equal(name, "--cert"))
			r->cert_file = xstrdup(second);
		else if (str_equal(name, "--key"))
			r->key_file = xstrdup(second);
		else if (str_equal(name, "--auth-host"))
			r->auth_host = xstrdup(second);
		else
			abort();
	} else {
		abort();
	}
}

static struct json *image_json(const struct image *i)
{
	struct json *o = json_new_object();
	json_set_string(o, "reference", i->reference);
	json_set_string(o, "digest", i->digest);
	json_set_string(o, "index_digest", i->index_digest);
	json_set_string(o, "chain_id", i->chain_id);
	json_set_string(o, "disk", i->disk);
	json_set_int(o, "size_bytes", (int64_t)i->size_bytes);
	json_set_int(o, "disk_bytes", (int64_t)i->disk_bytes);
	json_set_int(o, "created_unix_ms", (int64_t)i->created_unix_ms);
	json_set_string(o, "architecture", i->config.architecture);
	json_set_string(o, "user", i->config.user);
	json_set_string(o, "working_dir", i->config.working_dir);
	json_set_strings(o, "entrypoint", &i->config.entrypoint);
	json_set_strings(o, "cmd", &i->config.cmd);
	json_set_strings(o, "env", &i->config.env);
	return o;
}

static struct json *take_image(struct image *i)
{
	struct json *o = image_json(i);
	image_release(i);
	return o;
}

static void on_progress(void *arg, enum progress_kind kind, const char *id, uint64_t done,
			uint64_t total)
{
	static const char *const names[] = { "resolve", "layer", "disk", "done" };
	struct tool *t = arg;
	if (!t->keep_events)
		return;
	struct json *e = json_new_object();
	json_set_string(e, "kind", names[kind]);
	json_set_string(e, "id", id);
	json_set_int(e, "done", (int64_t)done);
	json_set_int(e, "total", (int64_t)total);
	json_add(t->events, e);
}

typedef int (*command_fn)(struct tool *t, int argc, char **argv, struct json *out,
			  struct error *err);

static int cmd_pull(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	struct image i;
	int rc = argc < 1 ? -1 : image_store_pull(t->store, argv[0], &i, err);
	if (rc == 0)
		json_set(out, "image", take_image(&i));
	return rc;
}

static int cmd_load(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	struct image i;
	int rc = image_store_load(t->store, argv[0], argc > 1 ? argv[1] : NULL, &i, err);
	if (rc == 0)
		json_set(out, "image", take_image(&i));
	return rc;
}

static int cmd_find(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	struct image i;
	int rc = argc < 1 ? -1 : image_store_find(t->store, argv[0], &i, err);
	if (rc == 0)
		json_set(out, "image", take_image(&i));
	return rc;
}

static int cmd_ls(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)argc;
	(void)argv;
	struct image_list list;
	int rc = image_store_list(t->store, &list, err);
	if (rc < 0)
		return rc;
	struct json *array = json_new_array();
	for (size_t i = 0; i < list.count; i++)
		json_add(array, image_json(&list.items[i]));
	json_set(out, "images", array);
	image_list_release(&list);
	return 0;
}

static int cmd_rm(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	uint64_t freed = 0;
	int rc = argc < 1 ? -1 : image_store_remove(t->store, argv[0], &freed, err);
	json_set_int(out, "freed", (int64_t)freed);
	return rc;
}

static bool keep_none(void *arg, const char *reference, const char *digest)
{
	(void)arg;
	(void)reference;
	(void)digest;
	return false;
}

static int cmd_prune(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	uint64_t freed = 0;
	bool all = argc > 0 && str_equal(argv[0], "all");
	int rc = image_store_prune(t->store, all ? keep_none : NULL, NULL, &freed, err);
	json_set_int(out, "freed", (int64_t)freed);
	return rc;
}

static int cmd_push(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)out;
	return argc < 1 ? -1 : image_store_push(t->store, argv[0], argc > 1 ? argv[1] : NULL, err);
}

static int cmd_tag(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)out;
	return argc < 2 ? -1 : image_store_tag(t->store, argv[0], argv[1], err);
}

static int cmd_save(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)out;
	if (argc < 2)
		return -1;
	return image_store_save(t->store, (const char *const *)argv + 1, (size_t)argc - 1, argv[0],
				err);
}

static int cmd_import(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	AUTO_STRLIST cmd = STRLIST_INIT;
	strlist_add(&cmd, "/bin/sh");
	const struct image_config config = { .cmd = cmd };
	struct image i;
	int rc = argc < 1 ? -1
			  : image_store_import(t->store, argv[0], argc > 1 ? argv[1] : NULL,
					       &config, &i, err);
	if (rc == 0)
		json_set(out, "image", take_image(&i));
	return rc;
}

static int cmd_inspect(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	struct json *v = NULL;
	int rc = argc < 1 ? -1 : image_store_inspect(t->store, argv[0], &text, err);
	if (rc == 0)
		rc = json_parse(buffer_str(&text), text.size, text.size, "inspect", &v, err);
	if (rc == 0)
		json_set(out, "inspect", v);
	return rc;
}

static int cmd_history(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	struct image_history h;
	int rc = argc < 1 ? -1 : image_store_history(t->store, argv[0], &h, err);
	if (rc < 0)
		return rc;
	struct json *steps = json_new_array();
	for (size_t i = 0; i < h.count; i++) {
		struct json *o = json_new_object();
		json_set_string(o, "created_by", h.items[i].created_by);
		json_set_int(o, "created_unix_ms", (int64_t)h.items[i].created_unix_ms);
		json_set_int(o, "size_bytes", (int64_t)h.items[i].size_bytes);
		json_set_string(o, "layer", h.items[i].layer);
		json_add(steps, o);
	}
	json_set(out, "history", steps);
	image_history_release(&h);
	return 0;
}

static int cmd_login(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)out;
	return argc < 3 ? -1 : image_store_login(t->store, argv[0], argv[1], argv[2], err);
}

static int cmd_logout(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	(void)out;
	return argc < 1 ? -1 : image_store_logout(t->store, argv[0], err);
}

static const struct {
	const char *name;
	command_fn run;
} commands[] = {
	{ "pull", cmd_pull },     { "load", cmd_load },       { "find", cmd_find },
	{ "ls", cmd_ls },         { "rm", cmd_rm },           { "prune", cmd_prune },
	{ "push", cmd_push },     { "tag", cmd_tag },         { "save", cmd_save },
	{ "import", cmd_import }, { "inspect", cmd_inspect }, { "history", cmd_history },
	{ "login", cmd_login },   { "logout", cmd_logout },
};

static int run(struct tool *t, int argc, char **argv, struct json *out, struct error *err)
{
	t->options.paths = &t->paths;
	t->options.registries = t->registries;
	t->options.progress = on_progress;
	t->options.progress_arg = t;
	int rc = host_paths_init(&t->paths, err);
	if (rc == 0)
		rc = host_paths_make(&t->paths, err);
	if (rc == 0)
		rc = image_store_open(&t->options, &t->store, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (str_equal(commands[i].name, argv[0]))
			return commands[i].run(t, argc - 1, argv + 1, out, err);
	return error_set(err, E_INVALID, "no command '%s'", argv[0]);
}

static void tool_release(struct tool *t)
{
	image_store_close(t->store);
	host_paths_release(&t->paths);
	for (size_t i = 0; i < t->options.registry_count; i++) {
		struct registry_config *r = &t->registries[i];
		for (size_t k = 0; k < r->mirror_count; k++)
			free(r->mirrors[k].host);
		free(r->mirrors);
		free(r->host);
		free(r->ca_file);
		free(r->cert_file);
		free(r->key_file);
		free(r->auth_host);
	}
	free((char *)(uintptr_t)t->options.platform);
}

int main(int argc, char **argv)
{
	struct tool t = { .events = json_new_array() };
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON out = json_new_object();
	int at = 1;
	for (; at < argc && str_starts(argv[at], "--"); at++)
		take_option(&t, argv[at]);
	if (at == argc)
		return 2;
	int rc = run(&t, argc - at, argv + at, out, &err);
	json_set_bool(out, "ok", rc == 0);
	if (rc < 0) {
		json_set_string(out, "error", error_code_name(err.code));
		json_set_string(out, "message", error_message(&err));
	}
	json_set(out, "events", t.events);
	AUTO_FREE char *text = json_text(out);
	puts(text);
	tool_release(&t);
	return rc == 0 ? 0 : 1;
}
