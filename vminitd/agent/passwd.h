/* SPDX-License-Identifier: MIT */
/* Who a container's process runs as, from the text of its own /etc/passwd and /etc/group; pure. */
#ifndef CTRZ_VMINITD_AGENT_PASSWD_H
#define CTRZ_VMINITD_AGENT_PASSWD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum { IDENTITY_GROUPS_MAX = 256, PASSWD_BYTES_MAX = 1024 * 1024 };

struct identity {
	uint32_t uid, gid;
	uint32_t groups[IDENTITY_GROUPS_MAX]; /* supplementary, without doubles */
	size_t group_count;
	char *home; /* owned; "/" where unknown */
	char *name; /* owned; NULL for a number without an entry */
};

#define IDENTITY_INIT ((struct identity){ 0 })

/**
 * identity_resolve() - look @user up
 * @user: "", "name", "uid", each with ":group" or ":gid" behind it; "" is uid 0. A number needs no
 * entry
 * @extra: further groups by name or number
 * @passwd: text of /etc/passwd; broken lines are skipped
 *
 * Supplementary groups are those that list the user as a member, unless a group was named.
 *
 * Return: 0, -E_NOT_FOUND for an unknown name, -E_INVALID for a number out of range or too many
 * groups
 */
int identity_resolve(const char *user, const struct strlist *extra, const char *passwd,
		     const char *group, struct identity *ret, struct error *err) MUST_CHECK;
void identity_release(struct identity *id);

#endif
