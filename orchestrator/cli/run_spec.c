/* SPDX-License-Identifier: MIT */
/* The options of `ctrz run` as a spec. */
#include "orchestrator/cli/run_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Words of the command line are meant as they are: a dollar sign starts no variable. */
static struct json *literal(const char *s)
{
	AUTO_BUFFER b = BUFFER_INIT;
	for (; *s; s++) {
		if (*s == '$')
			buffer_add_char(&b, '$');
		buffer_add_char(&b, *s);
	}
	return json_new_string_n(buffer_str(&b), b.size);
}

static void set_option(struct json *to, const char *key, const struct options *o,
		       const char *option)
{
	if (option_value(o, option))
		json_set(to, key, literal(option_value(o, option)));
}

static void set_list(struct json *to, const char *key, const struct options *o, const char *option)
{
	const struct strlist *values = option_values(o, option);
	if (!values)
		return;
	struct json *list = json_new_array();
	for (size_t i = 0; i < values->count; i++)
		json_add(list, literal(values->items[i]));
	json_set(to, key, list);
}

/* NAME=VALUE, or NAME for the host's value. */
static int set_env(struct cli *cli, struct json *to, const struct options *o, struct error *err)
{
	const struct strlist *values = option_values(o, "env");
	if (!values)
		return 0;
	struct json *env = json_new_object();
	json_set(to, "env", env);
	for (size_t i = 0; i < values->count; i++) {
		const char *equals = strchr(values->items[i], '=');
		AUTO_FREE char *name =
			equals ? xstrndup(values->items[i], (size_t)(equals - values->items[i]))
			       : xstrdup(values->items[i]);
		const char *value =
			equals ? equals + 1 : getenv(name); /* NOLINT(concurrency-mt-unsafe) */
		if (!*name)
			return cli_usage(cli, err, "--env takes NAME=VALUE or NAME, not '%s'",
					 values->items[i]);
		if (value)
			json_set(env, name, literal(value));
	}
	return 0;
}

static int set_cpus(struct cli *cli, struct json *resources, const struct options *o,
		    struct error *err)
{
	const char *text = option_value(o, "cpus");
	char *end = NULL;
	if (!text)
		return 0;
	double cpus = strtod(text, &end);
	if (!*text || *end || !(cpus > 0) || cpus > 1024)
		return cli_usage(cli, err, "--cpus takes a number, not '%s'", text);
	if (cpus == (double)(int)cpus)
		json_set_int(resources, "cpus", (int)cpus);
	else
		json_set(resources, "cpus", json_new_real(cpus));
	return 0;
}

static int set_network(struct cli *cli, struct json *to, const struct options *o, struct error *err)
{
	const char *name = option_value(o, "network");
	if (!name || strcmp(name, "default") == 0)
		return 0;
	if (strcmp(name, "none") != 0)
		return cli_usage(cli, err, "--network takes default or none, not '%s'", name);
	json_set(to, "networks", json_new_array());
	return 0;
}

int run_spec_build(struct cli *cli, const struct options *o, struct buffer *ret, struct error *err)
{
	const char *name = option_value(o, "name");
	AUTO_JSON spec = json_new_object();
	struct json *containers = json_new_object();
	struct json *c = json_new_object();
	AUTO_JSON resources = json_new_object();
	json_set_string(spec, "name", "run");
	json_set(spec, "containers", containers);
	json_set(containers, name ? name : "run", c);
	json_set(c, "image", literal(option_arg(o, 0)));
	set_option(c, "pull", o, "pull");
	set_option(c, "user", o, "user");
	set_option(c, "working_dir", o, "workdir");
	set_option(resources, "memory", o, "memory");
	set_list(c, "mounts", o, "mount");
	set_list(c, "ports", o, "publish");
	if (o->args.count > 1) {
		struct json *command = json_new_array();
		for (size_t i = 1; i < o->args.count; i++)
			json_add(command, literal(o->args.items[i]));
		json_set(c, "command", command);
	}
	int r = set_env(cli, c, o, err);
	if (r == 0)
		r = set_cpus(cli, resources, o, err);
	if (r == 0)
		r = set_network(cli, c, o, err);
	if (json_count(resources))
		json_set(c, "resources", json_ref(resources));
	if (r == 0)
		json_print(spec, 2, false, ret);
	return r;
}
