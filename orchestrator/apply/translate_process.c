/* SPDX-License-Identifier: MIT */
/* The container's process: what the image says, overridden by what the spec says. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "orchestrator/apply/translate.h"

static void add_command(const struct spec_command *command, struct strlist *argv)
{
	if (command->is_shell) {
		strlist_add(argv, "/bin/sh");
		strlist_add(argv, "-c");
	}
	for (size_t i = 0; i < command->count; i++)
		strlist_add(argv, command->items[i].text);
}

static void add_list(const struct strlist *from, struct strlist *argv)
{
	for (size_t i = 0; i < from->count; i++)
		strlist_add(argv, from->items[i]);
}

/* OCI image-spec, config.md: Cmd are arguments of Entrypoint; an overridden entrypoint drops the
 * image's Cmd. */
static void merge_argv(const struct spec_container *c, const struct image_config *image,
		       struct strlist *argv)
{
	if (c->entrypoint.at.is_set)
		add_command(&c->entrypoint, argv);
	else
		add_list(&image->entrypoint, argv);
	if (c->command.at.is_set)
		add_command(&c->command, argv);
	else if (!c->entrypoint.at.is_set)
		add_list(&image->cmd, argv);
}

static bool names_variable(const char *assignment, const char *name)
{
	size_t length = strlen(name);

	return strncmp(assignment, name, length) == 0 && assignment[length] == '=';
}

static bool is_overridden(const struct spec_pairs *env, const char *assignment)
{
	for (size_t i = 0; i < env->count; i++)
		if (names_variable(assignment, env->items[i].key))
			return true;
	return false;
}

/* A null value of the spec removes the image's variable. */
static void merge_env(const struct spec_pairs *env, const struct strlist *image,
		      struct strlist *out)
{
	for (size_t i = 0; i < image->count; i++)
		if (!is_overridden(env, image->items[i]))
			strlist_add(out, image->items[i]);
	for (size_t i = 0; i < env->count; i++)
		if (env->items[i].value.at.is_set)
			strlist_printf(out, "%s=%s", env->items[i].key, env->items[i].value.text);
}

static char *first_text(const struct spec_text *spec, const char *image)
{
	return xstrdup(spec->text ? spec->text : image ? image : "");
}

static uint64_t mask_of(const struct spec_texts *names)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < names->count; i++)
		mask |= spec_capability_mask(names->items[i].text);
	return mask;
}

/* ALL is where the other list starts from. */
uint64_t translate_capabilities(const struct spec_capabilities *c)
{
	const uint64_t all = spec_capability_mask("ALL"), add = mask_of(&c->add),
		       drop = mask_of(&c->drop);

	if (add == all)
		return drop == all ? 0 : all & ~drop;
	return drop == all ? add : (CAPABILITIES_DEFAULT & ~drop) | add;
}

static uint64_t limit_value(const struct spec_number *n)
{
	return n->value < 0 ? UINT64_MAX : (uint64_t)n->value;
}

static void add_confinement(const struct spec_container *c, struct msg_spawn *ret)
{
	const uint64_t add = mask_of(&c->capabilities.add);

	ret->rlimits = xcalloc(c->ulimits.count + 1, sizeof(*ret->rlimits));
	for (size_t i = 0; i < c->ulimits.count; i++) {
		const struct spec_ulimit *u = &c->ulimits.items[i];

		ret->rlimits[ret->rlimit_count++] = (struct spawn_rlimit){
			.resource = (uint32_t)spec_ulimit_number(u->o.name),
			.soft = limit_value(&u->soft),
			.hard = limit_value(&u->hard),
		};
	}
	for (size_t i = 0; i < c->groups.count; i++)
		strlist_add(&ret->groups, c->groups.items[i].text);
	ret->no_new_privileges = c->no_new_privileges.value;
	ret->is_filtered = c->seccomp.value == SPEC_SECCOMP_DEFAULT;
	ret->capabilities = translate_capabilities(&c->capabilities);
	ret->set_capabilities = ret->capabilities != CAPABILITIES_DEFAULT;
	/* What is named is meant for whichever user, ALL for root. */
	if (add != spec_capability_mask("ALL"))
		ret->ambient = add & ret->capabilities;
}

int translate_main(const struct spec_container *c, const struct image *image, struct msg_spawn *ret,
		   struct error *err)
{
	struct msg_spawn main = { .is_main = true };

	merge_argv(c, &image->config, &main.argv);
	if (!main.argv.count) {
		msg_spawn_release(&main);
		return error_at(err, c->image.at.pos, E_INVALID,
				"image '%s' names no command to run; give one with \"command:\"",
				c->image.text);
	}
	merge_env(&c->env, &image->config.env, &main.env);
	translate_socket_env(c, &main.env);
	main.working_dir = first_text(&c->working_dir, image->config.working_dir);
	main.user = first_text(&c->user, image->config.user);
	main.tty = c->tty.value;
	main.stdin_open = c->stdin_open.value;
	add_confinement(c, &main);
	*ret = main;
	return 0;
}

static const struct spec_text *own_or(const struct spec_text *own, const struct spec_text *other)
{
	return own && own->text ? own : other;
}

void translate_process(const struct spec_container *c, const struct image *image,
		       const struct process_words *words, struct msg_spawn *ret)
{
	static const struct spec_pairs none = { 0 };
	AUTO_STRLIST of_container = STRLIST_INIT;

	*ret = (struct msg_spawn){ 0 };
	if (words->command)
		add_command(words->command, &ret->argv);
	merge_env(&c->env, &image->config.env, &of_container);
	translate_socket_env(c, &of_container);
	merge_env(words->env ? words->env : &none, &of_container, &ret->env);
	ret->working_dir =
		first_text(own_or(words->dir, &c->working_dir), image->config.working_dir);
	ret->user = first_text(own_or(words->user, &c->user), image->config.user);
	add_confinement(c, ret);
}

void translate_drop_secret_env(const struct spec_container *c, struct strlist *env)
{
	size_t kept = 0;

	for (size_t i = 0; i < env->count; i++) {
		bool is_secret = false;

		for (size_t n = 0; n < c->secrets.count; n++)
			is_secret = is_secret ||
				    (c->secrets.items[n].env.text &&
				     names_variable(env->items[i], c->secrets.items[n].env.text));
		if (is_secret)
			free(env->items[i]);
		else
			env->items[kept++] = env->items[i];
	}
	/* The NULL behind the last stays behind the last. */
	if (env->items)
		env->items[kept] = NULL;
	env->count = kept;
}

static uint64_t grace_of(const struct spec_stop *s)
{
	return s->grace.at.is_set && s->grace.value >= 0 ? (uint64_t)s->grace.value
							 : STOP_GRACE_DEFAULT_MS;
}

/* How long an orderly end may take: processes may have to end one after the other. */
static uint64_t stop_time(const struct spec_container *c)
{
	uint64_t time = 0;

	if (!c)
		return STOP_GRACE_DEFAULT_MS;
	for (size_t i = 0; i < c->processes.count; i++)
		time += grace_of(&c->processes.items[i].stop);
	if (!c->processes.count)
		time = grace_of(&c->stop);
	if (c->hooks.stop.o.at.is_set)
		time += (uint64_t)c->hooks.stop.timeout.value;
	return time;
}

int translate_stop(const struct spec_container *c, const char *image_signal, int *ret_signal,
		   uint64_t *ret_grace_ms, struct error *err)
{
	/* What the file leaves out is the image's to say. */
	const char *name = c && c->stop.signal.at.pos.line ? c->stop.signal.text : image_signal;
	int sig = name ? spec_signal_number(name) : SIGTERM;

	if (!sig && c)
		return error_at(err, c->stop.signal.at.pos, E_INVALID, "'%s' is no signal", name);
	*ret_signal = sig ? sig : SIGTERM;
	*ret_grace_ms = stop_time(c);
	return 0;
}
