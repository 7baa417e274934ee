/* SPDX-License-Identifier: MIT */
/* A whole env.yaml from bytes: findings are printable, and what is accepted prints as a file that
 * is read back as the same environment. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *fake_env(void *arg, const char *name)
{
	(void)arg;
	return strlen(name) % 2 ? "from the host \x1b $${X}" : NULL;
}

static enum spec_path_kind fake_path(void *arg, const char *path)
{
	(void)arg;
	return (enum spec_path_kind)(strlen(path) % 6);
}

/* The two parts of the input. */
struct input {
	const char *first, *second;
	size_t first_size, second_size;
};

static int fake_read(void *arg, const char *path, size_t max, struct buffer *out, struct error *err)
{
	const struct input *in = arg;
	(void)max;
	if (in && strcmp(path, "/project/a.yaml") == 0) {
		buffer_add(out, in->first, in->first_size);
		return 0;
	}
	if (in && strcmp(path, "/project/b.yaml") == 0) {
		buffer_add(out, in->second, in->second_size);
		return 0;
	}
	if (strlen(path) % 3 == 0)
		return error_set(err, E_NOT_FOUND, "no");
	buffer_add_str(out, "A=1\nB='x'\n# c\nurl = https://a:b@c/\n");
	return 0;
}

static char *fake_holder(void *arg, const char *address, unsigned port, bool is_udp)
{
	(void)arg;
	(void)address;
	(void)is_udp;
	return port % 7 ? NULL : xstrdup("somebody");
}

static const struct spec_host host = { .env = fake_env,
				       .path = fake_path,
				       .read = fake_read,
				       .port_holder = fake_holder,
				       .memory_total = (uint64_t)8 << 30,
				       .memory_available = (uint64_t)4 << 30,
				       .cpus = 4,
				       .home = "/home/me" };

static void check_round_trip(const struct environment *env)
{
	AUTO_BUFFER yaml = BUFFER_INIT, again_yaml = BUFFER_INIT, json = BUFFER_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_ENVIRONMENT again = NULL;
	AUTO_ENVIRONMENT from_json = NULL;
	struct spec_options o = SPEC_OPTIONS_INIT;
	spec_yaml(env, false, &yaml);
	o.text = buffer_str(&yaml);
	o.text_size = yaml.size;
	o.keeps_later_keys = true;
	if (spec_load(&o, &again, &diags, &err) < 0)
		abort();
	spec_yaml(again, false, &again_yaml);
	char a[65], b[65];
	spec_hash(env, a);
	spec_hash(again, b);
	if (strcmp(buffer_str(&yaml), buffer_str(&again_yaml)) != 0 || strcmp(a, b) != 0)
		abort();
	spec_json(env, &json);
	if (spec_load_json(buffer_str(&json), json.size, "json", &from_json, &err) < 0)
		abort();
}

static void ignore_change(void *arg, const struct spec_change *change)
{
	(void)change;
	(*(size_t *)arg)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_ENVIRONMENT env = NULL;
	AUTO_BUFFER out = BUFFER_INIT;
	const char *profile = "edge";
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = (const char *)data;
	o.text_size = size;
	o.text_name = "env.yaml";
	o.text_dir = "/project";
	o.keeps_later_keys = true;
	o.is_strict = true;
	o.profiles = &profile;
	o.profile_count = 1;
	/* Rules that look at a host refuse much: half of the inputs have none. */
	struct input in = { 0 };
	struct spec_host files_only = { .arg = &in, .read = fake_read };
	static const char *const files[] = { "/project/a.yaml", "/project/b.yaml" };
	static const char mark[] = "\n%%%%\n";
	const char *cut = size ? memmem(data, size, mark, strlen(mark)) : NULL;
	if (cut) {
		in.first = (const char *)data;
		in.first_size = (size_t)(cut - in.first) + 1;
		in.second = cut + strlen(mark);
		in.second_size = size - in.first_size - strlen(mark) + 1;
		o.files = files;
		o.file_count = size % 2 + 1;
		o.host = &files_only;
	} else if (size % 2) {
		o.host = &host;
	}
	int r = spec_load(&o, &env, &diags, &err);
	diagnostics_print(&diags, size % 3 == 0, &out);
	diagnostics_json(&diags, &out);
	if (r < 0)
		return 0;
	check_round_trip(env);
	size_t changes = 0;
	spec_diff(env, env, ignore_change, &changes);
	if (changes)
		abort();
	spec_diff(NULL, env, ignore_change, &changes);
	return 0;
}
