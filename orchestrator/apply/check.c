/* SPDX-License-Identifier: MIT */
/* What must be true of the host before anything is changed. */
#include <string.h>

#include "base/cleanup.h"
#include "base/trace.h"
#include "orchestrator/apply/apply.h"
#include "runtime/machine/accelerator.h"
#include "runtime/machine/kernel_store.h"
#include "runtime/share/share.h"

static bool is_started(const struct action *a)
{
	return a->object == OBJECT_CONTAINER &&
	       (a->kind == ACTION_CREATE || a->kind == ACTION_START || a->kind == ACTION_REBOOT ||
		a->kind == ACTION_REPLACE || a->kind == ACTION_PROCESS);
}

static bool has_shares(const struct spec_container *c)
{
	for (size_t i = 0; i < c->mounts.count; i++)
		if (c->mounts.items[i].type.value == SPEC_MOUNT_DIR ||
		    c->mounts.items[i].type.value == SPEC_MOUNT_FILE)
			return true;
	return false;
}

static int check_pull(const struct environment *env, const struct action *a, struct error *err)
{
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		if (c->is_active && c->pull.value == SPEC_PULL_NEVER &&
		    strcmp(c->image.text, a->name) == 0)
			return error_at(
				err, c->image.at.pos, E_NOT_FOUND,
				"image '%s' is not on this host, and pull: never says not to get "
				"it; load "
				"it with: ctrz image load, or get it with: ctrz image pull %s",
				a->name, a->name);
	}
	return 0;
}

static int check_machine_parts(const struct world *w, struct error *err)
{
	struct kernel kernel = { 0 };
	int r = qemu_find(NULL, NULL, err);
	if (r == 0)
		r = kernel_store_default(w->paths, &kernel, err);
	kernel_release(&kernel);
	return r;
}

int apply_check(const struct world *w, const struct plan *plan, struct error *err)
{
	TRACE("check what the host has");
	bool machine_checked = false, share_checked = false;
	int r = 0;
	for (size_t i = 0; r == 0 && i < plan->count; i++) {
		const struct action *a = &plan->actions[i];
		if (a->object == OBJECT_IMAGE && w->wanted)
			r = check_pull(w->wanted, a, err);
		if (!is_started(a))
			continue;
		if (r == 0 && !machine_checked)
			r = check_machine_parts(w, err);
		machine_checked = true;
		const struct spec_container *c =
			w->wanted ? environment_container(w->wanted, a->name) : NULL;
		if (r == 0 && c && !share_checked && has_shares(c)) {
			AUTO_FREE char *path = NULL;
			r = virtiofsd_find(&path, err);
			share_checked = true;
		}
	}
	return r;
}
