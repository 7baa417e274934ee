/* SPDX-License-Identifier: MIT */
/* Which environment and containers a command means. */
#include "orchestrator/cli/select.h"

#include <string.h>

#include "base/alloc.h"
#include "base/git_url.h"
#include "orchestrator/state/env_store.h"

int select_environment(const struct cli *cli, const struct options *o, struct env_record *ret,
		       struct error *err)
{
	return env_store_select(&cli->paths, option_value(o, "environment"), ret, err);
}

int select_container(const struct env_record *r, const char *name, struct container_record **ret,
		     struct error *err)
{
	struct container_record *c = env_record_container(r, name);
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_FREE char *all = NULL;
	const char *near;

	if (c && c->stage != STAGE_NONE) {
		*ret = c;
		return 0;
	}
	if (c)
		return error_set(err, E_NOT_FOUND,
				 "container '%s' of '%s' is not up; bring it up with: ctrz up %s",
				 name, r->name, r->file);
	for (size_t i = 0; i < r->container_count; i++)
		strlist_add(&names, r->containers[i].name);
	if (!names.count)
		return error_set(err, E_NOT_FOUND, "no container '%s': '%s' has none up", name,
				 r->name);
	near = text_suggest(name, (const char *const *)names.items, names.count);
	all = strlist_join(&names, ", ");
	return error_set(err, E_NOT_FOUND, "no container '%s' in '%s'%s%s%s; there are: %s", name,
			 r->name, near ? "; did you mean '" : "", near ? near : "",
			 near ? "'?" : "", all);
}

bool is_spec_operand(const char *operand)
{
	return strpbrk(operand, "/.") || git_url_is(operand);
}
