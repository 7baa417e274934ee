/* SPDX-License-Identifier: MIT */
/* Differences, classes and hashes: what must not matter does not, what matters is told in its
 * class. */
#include <stdio.h>

#include "../test.h"
#include "base/alloc.h"
#include "base/text.h"
#include "spec/spec.h"

static struct environment *load(const char *text)
{
	struct environment *env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = text;
	o.text_size = strlen(text);
	o.text_name = "env.yaml";
	o.text_dir = "/project";
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &diags, &err) < 0) {
		AUTO_BUFFER out = BUFFER_INIT;
		diagnostics_print(&diags, false, &out);
		fail_msg("%s\n%s", buffer_str(&out), text);
	}
	return env;
}

static void add_line(void *arg, const struct spec_change *c)
{
	static const char *const kinds[] = { "~", "+", "-" };
	buffer_printf(arg, "%s %s %s%s%s %s %s %s -> %s%s\n", kinds[c->kind], c->object,
		      c->container ? c->container : "", c->container ? "/" : "", c->name, c->field,
		      spec_class_name(c->change_class), c->old_text ? c->old_text : "-",
		      c->new_text ? c->new_text : "-", c->is_secret ? " secret" : "");
}

static char *diff(const char *a, const char *b)
{
	AUTO_ENVIRONMENT old = load(a);
	AUTO_ENVIRONMENT new = load(b);
	AUTO_BUFFER out = BUFFER_INIT;
	spec_diff(old, new, add_line, &out);
	return buffer_steal(&out);
}

#define HEAD "containers:\n  a:\n    image: docker.io/library/a:1\n"

TEST(form_does_not_matter)
{
	static const char *const same[] = {
		HEAD "    env: { A: \"1\", B: x }\n    command: [a, b]\n    ports: [\"80:80\"]\n",
		"# comment\ncontainers:\n  a:\n    ports:\n      - container: 80\n        host: "
		"80\n"
		"    command:\n      - 'a'\n      - \"b\"\n    env: {B: 'x', A: 1}\n"
		"    image: \"docker.io/library/a:1\"\n    labels: { note: unhashed }\n",
		"x-env: &env\n  A: 1\n  B: x\nx-c: &c { image: \"docker.io/library/a:1\" }\n"
		"containers:\n  a:\n    <<: *c\n    env: *env\n    command: [a, \"b\"]\n"
		"    ports: ['127.0.0.1:80:80/tcp']\n    restart: \"no\"\n",
		"vars: { N: { default: a } }\ndefaults: { restart: no }\n" HEAD
		"    env: { A: \"1\", B: x }\n    command: [\"${N}\", b]\n    ports: [\"80:80\"]\n"
	};
	char first[65], other[65];
	AUTO_ENVIRONMENT env = load(same[0]);
	spec_hash(env, first);
	for (size_t i = 1; i < ARRAY_SIZE(same); i++) {
		AUTO_ENVIRONMENT again = load(same[i]);
		spec_hash(again, other);
		assert_string_equal(first, other);
	}
}

/* Each field alone: its line, and whether the hash takes part. */
static const struct {
	const char *old, *new, *expect;
	bool same_hash;
} changes[] = {
	{ HEAD, "containers:\n  a:\n    image: docker.io/library/a:2\n",
	  "~ container a image recreate docker.io/library/a:1 -> docker.io/library/a:2\n", false },
	{ HEAD "    command: [a, b]\n", HEAD "    command: [a, c]\n",
	  "~ container a command process [a, b] -> [a, c]\n", false },
	{ HEAD "    command: a\n", HEAD "    command: [a]\n",
	  "~ container a command process a -> [a]\n", false },
	{ HEAD "    env: { A: x }\n", HEAD "    env: { A: y, DB_PASSWORD: p }\n",
	  "~ container a env.A process x -> y\n"
	  "+ container a env.DB_PASSWORD process - -> (changed) secret\n",
	  false },
	{ HEAD, HEAD "    ports: [\"8080:80\"]\n",
	  "+ container a ports[80/tcp] live - -> 127.0.0.1:8080->80/tcp\n", false },
	{ HEAD "    ports: [\"8080:80\"]\n", HEAD "    ports: [\"8081:80\"]\n",
	  "~ container a ports[80/tcp].host live 8080 -> 8081\n", false },
	{ HEAD "    mounts: [\"./x:/x\"]\n", HEAD "    mounts: [\"./x:/x:rw\", \"./y:/y\"]\n",
	  "~ container a mounts[/x].access live ro -> rw\n"
	  "+ container a mounts[/y] live - -> /project/y:/y:ro\n",
	  false },
	{ HEAD "    resources: { memory: 1GiB, disk: 2GiB }\n",
	  HEAD "    resources: { memory: 512MiB, disk: 1GiB }\n",
	  "~ container a resources.memory live 1GiB -> 512MiB\n"
	  "~ container a resources.disk recreate 2GiB -> 1GiB\n",
	  false },
	{ HEAD, HEAD "    labels: { a: b }\ndescription: x\n",
	  "+ environment  description none - -> x\n+ container a labels.a none - -> b\n", true },
	{ HEAD, HEAD "    pull: always\n", "~ container a pull none missing -> always\n", true },
	{ HEAD "    restart: always\n", HEAD, "~ container a restart.policy live always -> no\n",
	  false },
	{ HEAD "    processes: { p: { command: x } }\n",
	  HEAD "    processes: { p: { command: y }, q: { command: z } }\n",
	  "~ process a/p command process x -> y\n+ process a/q  process - -> \n", false },
	{ HEAD "    kernel: { cmdline: a }\n", HEAD "    kernel: { cmdline: b }\n",
	  "~ container a kernel.cmdline vm a -> b\n", false },
	{ HEAD "volumes: { v: { size: 2GiB } }\n", HEAD "volumes: { v: { size: 1GiB } }\n",
	  "~ volume v size data 2GiB -> 1GiB\n", false },
	{ HEAD "volumes: { v: { size: 1GiB } }\n", HEAD "volumes: { v: { size: 2GiB } }\n",
	  "~ volume v size live 1GiB -> 2GiB\n", false },
	{ HEAD "networks: { n: { subnet: 10.0.0.0/24 } }\n",
	  HEAD "networks: { n: { subnet: 10.0.1.0/24, egress: none } }\n",
	  "~ network n subnet recreate 10.0.0.0/24 -> 10.0.1.0/24\n"
	  "~ network n egress.mode live full -> none\n",
	  false },
	{ HEAD "files: { f: { content: a } }\n", HEAD "files: { f: { content: b } }\n",
	  "~ file f content process a -> b\n"
	  "~ file f content process "
	  "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb -> "
	  "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\n",
	  false },
	{ HEAD, HEAD "  b: { image: \"docker.io/library/b:1\" }\n",
	  "+ container b  recreate - -> \n", false },
	{ HEAD "    health: \"true\"\n", HEAD "    health: { exec: \"true\", retries: 5 }\n",
	  "~ container a health.retries live 3 -> 5\n", false },
	{ HEAD "    stop: { grace: 5s }\n", HEAD "    stop: { signal: SIGINT }\n",
	  "~ container a stop.signal live SIGTERM -> SIGINT\n"
	  "~ container a stop.grace live 5s -> 10s\n",
	  false },
	{ HEAD "    networks: { n: { aliases: [b, a] } }\nnetworks: { n: {} }\n",
	  HEAD "    networks: { n: { aliases: [a, b] } }\nnetworks: { n: {} }\n", "", true },
};

TEST(changes_are_told_in_their_class)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		AUTO_FREE char *told = diff(changes[i].old, changes[i].new);
		assert_string_equal(told, changes[i].expect);
		AUTO_ENVIRONMENT a = load(changes[i].old);
		AUTO_ENVIRONMENT b = load(changes[i].new);
		char x[65], y[65];
		spec_hash(a, x);
		spec_hash(b, y);
		assert_int_equal(str_equal(x, y), changes[i].same_hash);
	}
}

static void see_place(void *arg, const struct spec_change *c)
{
	*(struct source_pos *)arg = c->pos;
}

TEST(a_change_has_its_place)
{
	AUTO_ENVIRONMENT old = load(HEAD "    command: [a]\n");
	AUTO_ENVIRONMENT new = load(HEAD "\n    command: [b]\n");
	struct source_pos pos = { 0 };
	spec_diff(old, new, see_place, &pos);
	assert_string_equal(pos.file, "env.yaml");
	assert_int_equal(pos.line, 5);
	assert_int_equal(pos.column, 14);
}

TEST(against_nothing_all_is_added)
{
	AUTO_ENVIRONMENT env = load(HEAD);
	AUTO_BUFFER added = BUFFER_INIT, removed = BUFFER_INIT;
	spec_diff(NULL, env, add_line, &added);
	spec_diff(env, NULL, add_line, &removed);
	assert_non_null(strstr(buffer_str(&added), "+ container a  recreate"));
	assert_non_null(strstr(buffer_str(&removed), "- container a  recreate"));
}
