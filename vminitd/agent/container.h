/* SPDX-License-Identifier: MIT */
/* The container: its tree, its cgroup, its namespaces, its files. */
#ifndef CTRZ_VMINITD_AGENT_CONTAINER_H
#define CTRZ_VMINITD_AGENT_CONTAINER_H

#include <sys/types.h>

#include "vminitd/agent/launch.h"
#include "vminitd/agent/root.h"

enum { CONTAINER_NAME_FILES = 3 }; /* resolv.conf and the like */

struct container {
	bool is_set_up, has_run;
	bool is_rehearsed; /* root, /dev and an init are there; it is nobody's yet */
	struct root root;
	struct msg_setup setup;   /* as sent; the entropy is wiped */
	struct msg_limits limits; /* that are set; none at boot */
	int cgroup_fd;            /* -1 = none */
	int own_pid_ns;
	pid_t first;     /* process 1 of its namespaces; 0 = none */
	int first_pidfd; /* -1 = none */
	int init_fd;     /* says which signals the init was sent from inside; -1 = none */
	int name_fds[CONTAINER_NAME_FILES]; /* rehearsed, to be written to once; -1 = none */
	struct buffer filter;               /* of system calls, as sent; empty = none */
};

void container_init(struct container *c);
/** container_prepare() - at boot */
int container_prepare(struct container *c, struct error *err) MUST_CHECK;
/** container_ready() - see root_ready() */
int container_ready(struct container *c, const struct msg_setup *s, struct buffer *missing,
		    struct error *err) MUST_CHECK;
/**
 * container_rehearse() - before the machine becomes a template: what is the same for every
 * container of its image
 * @s: disks, a time and entropy
 *
 * The root is mounted, and an init waits in namespaces of its own. Return: 0; -E_CONFLICT if there
 * is a container already; another -code, and the machine is of no use
 */
int container_rehearse(struct container *c, const struct msg_setup *s,
		       struct error *err) MUST_CHECK;
/** container_set_up() - everything in @s, which is taken over */
int container_set_up(struct container *c, struct msg_setup *s, struct error *err) MUST_CHECK;
int container_write_names(struct container *c, const struct msg_names *n,
			  struct error *err) MUST_CHECK;
/** container_set_nic() - set a NIC up, or again. Return: 0, -E_NOT_FOUND if it is not there yet,
 * ... */
int container_set_nic(struct container *c, const struct setup_nic *n, struct error *err) MUST_CHECK;
/** container_drop_nic() - forget a NIC that is about to go */
void container_drop_nic(struct container *c, const struct setup_nic *n);
int container_set_limits(struct container *c, const struct msg_limits *l,
			 struct error *err) MUST_CHECK;
/** container_set_filter() - for processes that start from now on and are filtered */
int container_set_filter(struct container *c, const struct msg_filter *f,
			 struct error *err) MUST_CHECK;
int container_write_file(struct container *c, const struct msg_write_file *w,
			 struct error *err) MUST_CHECK;
/**
 * container_fork() - start a child of the container, in its cgroup
 * @l: setup, filter and join_pidfd are filled in here
 *
 * The first process makes the namespaces, unless the setup wants an init, which is made here then.
 *
 * Return: pid, or -code with *kind saying what to tell
 */
pid_t container_fork(struct container *c, struct launch *l, enum spawn_failure *kind,
		     struct error *err) MUST_CHECK;
/** container_reaped() - @pid was reaped by the agent */
void container_reaped(struct container *c, pid_t pid);
/** clock_and_entropy() - set the clock (0 = leave it) and mix fresh entropy in, as a restored
 * machine needs it */
int clock_and_entropy(uint64_t unix_time_ns, const uint8_t *entropy, size_t size,
		      struct error *err) MUST_CHECK;

#endif
