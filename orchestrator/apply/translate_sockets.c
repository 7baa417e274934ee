/* SPDX-License-Identifier: MIT */
/* Unix sockets, for the guest and for the keeper. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/apply/translate.h"
#include "runtime/machine/machine.h"

static bool is_agent(const struct spec_socket *s)
{
	return strcmp(s->host.text, SPEC_SSH_AGENT) == 0;
}

static int host_path(const struct spec_socket *s, char **ret, struct error *err)
{
	const char *agent =
		getenv("SSH_AUTH_SOCK"); /* NOLINT(concurrency-mt-unsafe): nothing sets it */

	if (!is_agent(s)) {
		*ret = xstrdup(s->host.text);
		return 0;
	}
	if (!agent || *agent != '/')
		return error_at(
			err, s->host.at.pos, E_INVALID,
			"there is no ssh agent to forward: SSH_AUTH_SOCK is not set; start one "
			"with ssh-agent, or leave the socket out");
	*ret = xstrdup(agent);
	return 0;
}

int translate_sockets(const struct spec_container *c, struct machine_config *ret, struct error *err)
{
	int r = 0;

	ret->sockets = xcalloc(c->sockets.count + 1, sizeof(*ret->sockets));
	ret->setup.sockets = xcalloc(c->sockets.count + 1, sizeof(*ret->setup.sockets));
	for (size_t i = 0; r == 0 && i < c->sockets.count; i++) {
		const struct spec_socket *s = &c->sockets.items[i];
		struct machine_socket *to = &ret->sockets[ret->socket_count];

		r = host_path(s, &to->host_path, err);
		if (r < 0)
			break;
		ret->socket_count++;
		to->target = xstrdup(s->target.text);
		to->is_out = s->direction.value == SPEC_DIRECTION_OUT;
		if (!to->is_out)
			ret->setup.sockets[ret->setup.socket_count++] =
				(struct setup_socket){ .target = xstrdup(s->target.text),
						       .mode = (uint32_t)s->mode.value };
	}
	return r;
}

void translate_socket_env(const struct spec_container *c, struct strlist *env)
{
	static const char name[] = "SSH_AUTH_SOCK=";

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], name, strlen(name)) == 0)
			return;
	for (size_t i = 0; i < c->sockets.count; i++)
		if (is_agent(&c->sockets.items[i])) {
			strlist_printf(env, "%s%s", name, c->sockets.items[i].target.text);
			return;
		}
}
