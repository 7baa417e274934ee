/* SPDX-License-Identifier: MIT */
/* Between the files of the planner. */
#ifndef CTRZ_ORCHESTRATOR_PLAN_PLAN_INTERNAL_H
#define CTRZ_ORCHESTRATOR_PLAN_PLAN_INTERNAL_H

#include "orchestrator/plan/plan.h"

/** kind_of_class() - the action that makes a change of this class true */
enum action_kind kind_of_class(enum plan_class class);
/** plan_add() - append an action; lent until the next one */
struct action *plan_add(struct plan *p, enum action_kind kind, enum object_kind object,
			const char *name);
/** plan_order() - indexes of the wanted containers, those they depend on first, else by name; room
 * for all of them */
void plan_order(const struct desired *d, size_t *order);
/** plan_volumes() - what becomes of the disks that the selected containers mount */
void plan_volumes(struct plan *p, const struct desired *d, const struct observed *o);
/** plan_down_volumes() - all disks go */
void plan_down_volumes(struct plan *p, const struct observed *o);
/** plan_cannot_live() - why a running machine cannot take its live changes as it is; owned, NULL if
 * it can */
char *plan_cannot_live(const struct desired_container *c, const struct observed_container *seen);
/** volume_remade() - whether @c mounts a disk that is made anew, which the running machine has to
 * let go first. Return: the volume, or NULL */
const struct desired_volume *volume_remade(const struct desired *d, const struct observed *o,
					   const struct desired_container *c);
/** plan_link() - add what each action must wait for; @d is NULL for down */
void plan_link(struct plan *p, const struct desired *d, const struct observed *o);

#endif
