/* SPDX-License-Identifier: MIT */
/* A made-up host for the rules that look at one. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/git_url.h"
#include "spec/fields/decode.h"
#include "spec/fields/units.h"

static const char *fake_env(void *arg, const char *name)
{
	struct fixture *f = arg;
	return map_get(&f->env, name);
}

static enum spec_path_kind fake_path(void *arg, const char *path)
{
	static const char *const words[] = { "missing", "file", "dir", "other", "loop", "denied" };
	struct fixture *f = arg;
	const char *kind = map_get(&f->paths, path);
	for (size_t i = 0; kind && i < ARRAY_SIZE(words); i++)
		if (strcmp(kind, words[i]) == 0)
			return (enum spec_path_kind)i;
	return SPEC_PATH_MISSING;
}

static char *fake_real_path(void *arg, const char *path)
{
	struct fixture *f = arg;
	const char *real = map_get(&f->real, path);
	return xstrdup(real ? real : path);
}

static int fake_read(void *arg, const char *path, size_t max, struct buffer *out, struct error *err)
{
	struct fixture *f = arg;
	const char *name = str_starts(path, "/project/") ? path + 9 : path;
	/* git holds no folder of the name .git: the fixtures' are called dot-git. */
	const char *git = strstr(name, "/.git/");
	AUTO_FREE char *held = git ? xasprintf("%.*s/dot-git/%s", (int)(git - name), name, git + 6)
				   : xstrdup(name);
	AUTO_FREE char *full = path_join(f->dir, held);
	return file_read(full, max, out, err);
}

static char *fake_port_holder(void *arg, const char *address, unsigned port, bool is_udp)
{
	(void)address;
	(void)is_udp;
	struct fixture *f = arg;
	AUTO_FREE char *key = xasprintf("%u", port);
	return xstrdup_null(map_get(&f->ports, key));
}

static char *fake_image_problem(void *arg, const char *image)
{
	struct fixture *f = arg;
	const char *platforms = map_get(&f->images, image);
	if (!platforms || strstr(platforms, "linux/amd64"))
		return NULL;
	return xasprintf("%s has no image for linux/amd64; there are: %s", image, platforms);
}

static char *fake_subnet_holder(void *arg, uint32_t base, unsigned bits)
{
	struct fixture *f = arg;
	for (size_t i = 0; i < f->routes.count; i++) {
		AUTO_FREE char *route = xstrdup(f->routes.items[i]);
		char *holder = strchr(route, ' ');
		uint32_t other;
		unsigned other_bits;
		if (!holder)
			continue;
		*holder++ = 0;
		if (!spec_subnet_parse(route, &other, &other_bits))
			continue;
		unsigned common = bits < other_bits ? bits : other_bits;
		if (((base ^ other) >> (32 - common)) == 0)
			return xstrdup(holder);
	}
	return NULL;
}

/* What a repository has: the commit that is pinned, or its own. */
static int fake_include(void *arg, const char *url, const char *pinned, char **ret_path,
			char **ret_commit, struct error *err)
{
	struct fixture *f = arg;
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_FREE char *name = git_url_parse(url, &u, err) < 0 ? NULL : git_url_text(&u);
	const char *words = name ? map_get(&f->includes, name) : NULL;
	const char *path = words ? strchr(words, ' ') : NULL;
	if (!path)
		return error_set(err, E_NOT_FOUND, "there is no such repository");
	*ret_commit = pinned ? xstrdup(pinned) : xstrndup(words, (size_t)(path - words));
	*ret_path = xasprintf("/project/%s", path + 1);
	return 0;
}

static void set_pair(struct map *m, char *words)
{
	char *value = strpbrk(words, " =");
	if (value)
		*value++ = 0;
	free(map_set(m, words, xstrdup(value ? value : "")));
}

static uint64_t size_of(const char *text)
{
	int64_t bytes = 0;
	return units_size(text, &bytes) ? 0 : (uint64_t)bytes;
}

static void set_one(struct fixture *f, const char *word, char *rest)
{
	struct spec_host *h = &f->host;
	if (str_equal(word, "path")) {
		set_pair(&f->paths, rest);
		h->path = fake_path;
		h->real_path = fake_real_path;
	} else if (str_equal(word, "real")) {
		set_pair(&f->real, rest);
		h->real_path = fake_real_path;
	} else if (str_equal(word, "env")) {
		set_pair(&f->env, rest);
		h->env = fake_env;
	} else if (str_equal(word, "port")) {
		set_pair(&f->ports, rest);
		h->port_holder = fake_port_holder;
	} else if (str_equal(word, "image")) {
		set_pair(&f->images, rest);
		h->image_problem = fake_image_problem;
	} else if (str_equal(word, "route")) {
		strlist_add(&f->routes, rest);
		h->subnet_holder = fake_subnet_holder;
	} else if (str_equal(word, "cpus")) {
		h->cpus = (unsigned)strtoul(rest, NULL, 10);
	} else if (str_equal(word, "memory")) {
		h->memory_total = size_of(rest);
	} else if (str_equal(word, "available")) {
		h->memory_available = size_of(rest);
	} else if (str_equal(word, "home")) {
		h->home = f->home = xstrdup(rest);
	} else if (str_equal(word, "state")) {
		h->state = f->state = xstrdup(rest);
	} else if (str_equal(word, "profile")) {
		strlist_add(&f->profiles, rest);
	} else if (str_equal(word, "overlay")) {
		strlist_printf(&f->overlays, "/project/%s", rest);
	} else if (str_equal(word, "include")) {
		set_pair(&f->includes, rest);
		h->include = fake_include;
	} else if (str_equal(word, "platform")) {
		h->platform = f->platform = xstrdup(rest);
	} else if (str_equal(word, "lock") || str_equal(word, "locked")) {
		f->lock = str_equal(word, "lock") ? SPEC_LOCK_USE : SPEC_LOCK_STRICT;
		strlist_printf(&f->overlays, "/project/%s", rest);
	} else if (str_equal(word, "strict")) {
		f->is_strict = true;
	} else if (str_equal(word, "now")) {
		f->refuses_later = true;
	} else if (str_equal(word, "low-ports")) {
		h->may_bind_low_ports = true;
	} else {
		abort();
	}
}

void fixture_init(struct fixture *f, const char *dir, const char *text)
{
	*f = (struct fixture){ .dir = dir };
	f->host.arg = f;
	f->host.read = fake_read;
	f->host.env = fake_env;
	for (const char *line = text; *line;) {
		size_t size = strcspn(line, "\n");
		if (size > 3 && strncmp(line, "#@ ", 3) == 0) {
			AUTO_FREE char *copy = xstrndup(line + 3, size - 3);
			char *rest = strchr(copy, ' ');
			if (rest)
				*rest++ = 0;
			set_one(f, copy, rest ? rest : copy + strlen(copy));
		}
		line += size + (line[size] == '\n');
	}
}

void fixture_release(struct fixture *f)
{
	map_release(&f->paths, free);
	map_release(&f->real, free);
	map_release(&f->env, free);
	map_release(&f->ports, free);
	map_release(&f->images, free);
	map_release(&f->includes, free);
	strlist_release(&f->routes);
	strlist_release(&f->profiles);
	strlist_release(&f->overlays);
	free(f->home);
	free(f->state);
	free(f->platform);
}

int fixture_load(struct fixture *f, const char *text, size_t size, struct environment **ret,
		 struct diagnostics *diags, struct error *err)
{
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.host = &f->host;
	o.is_strict = f->is_strict;
	o.keeps_later_keys = !f->refuses_later;
	o.profiles = (const char *const *)f->profiles.items;
	o.profile_count = f->profiles.count;
	o.files = (const char *const *)f->overlays.items;
	o.file_count = f->overlays.count;
	o.lock = f->lock;
	o.first_name = f->lock ? "env.yaml" : NULL;
	if (!f->overlays.count) {
		o.text = text;
		o.text_size = size;
		o.text_name = "env.yaml";
		o.text_dir = "/project";
	}
	return spec_load(&o, ret, diags, err);
}
