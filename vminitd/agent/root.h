/* SPDX-License-Identifier: MIT */
/* The container's tree as the agent sees it: overlay root, volumes, shares, tmpfs; and taking it
 * down again. */
#ifndef CTRZ_VMINITD_AGENT_ROOT_H
#define CTRZ_VMINITD_AGENT_ROOT_H

#include "base/text.h"
#include "vminitd/protocol/message.h"

#define ROOT_PATH "/c/root"

/* Something mounted below the container's root. */
struct root_mount {
	char *target; /* owned; as the host named it, cleaned */
	char *stage;  /* owned; where the file system itself is mounted, NULL for tmpfs */
};

struct root {
	int fd;                    /* O_PATH of ROOT_PATH; -1 = not mounted yet */
	struct strlist stages;     /* file systems mounted outside of the root, in order */
	struct root_mount *mounts; /* in order */
	size_t mount_count, mount_room;
	char *upper_stage; /* owned; the writable layer */
};

#define ROOT_INIT ((struct root){ .fd = -1 })

/**
 * root_ready() - whether every device of @s is there; shares are mounted outside of the root on the
 * way
 * @missing: gets the names of those that are not
 *
 * Return: 1, 0 if some are missing, -code if one is there but of no use
 */
int root_ready(struct root *r, const struct msg_setup *s, struct buffer *missing,
	       struct error *err) MUST_CHECK;
/** root_build() - mount everything that is not mounted yet; after root_ready() */
int root_build(struct root *r, const struct msg_setup *s, struct error *err) MUST_CHECK;
/** root_add_disk() - mount a volume. Return: 0, -E_NOT_FOUND if the disk is not there yet, another
 * -code */
int root_add_disk(struct root *r, const struct setup_disk *d, struct error *err) MUST_CHECK;
/** root_add_share() - Return: as root_add_disk() */
int root_add_share(struct root *r, const struct setup_share *s, struct error *err) MUST_CHECK;
int root_add_tmpfs(struct root *r, const struct setup_tmpfs *t, struct error *err) MUST_CHECK;
/** root_add_socket() - @file: O_PATH descriptor of a socket, lent. Return: 0, -E_EXISTS, another
 * -code */
int root_add_socket(struct root *r, int file, const char *target, struct error *err) MUST_CHECK;
/** root_grow_disk() - let the file system of a mounted disk fill it. Return: as root_add_disk() */
int root_grow_disk(struct root *r, const struct setup_disk *d, struct error *err) MUST_CHECK;
/** root_has_mount_below() - whether something of ours is mounted on @folder or below it */
bool root_has_mount_below(const struct root *r, const char *folder);
/** root_detach() - unmount what root_add_*() put on @target, and what it showed if nothing else
 * shows that. Return: 0, -E_NOT_FOUND, -E_CONFLICT if it is in use */
int root_detach(struct root *r, const char *target, struct error *err) MUST_CHECK;
/** root_trim() - tell the disks which blocks are free. Return: bytes */
uint64_t root_trim(struct root *r);
/** root_sync() - what was written to disks reaches the host */
int root_sync(struct root *r, struct error *err) MUST_CHECK;
/** root_freeze() - and nothing is written until root_thaw(); a failure leaves nothing frozen */
int root_freeze(struct root *r, struct error *err) MUST_CHECK;
void root_thaw(struct root *r);
/** root_unmount() - every disk, in reverse order; shares stay, for their server may be gone and
 * would be waited for. Return: how many file systems would not let go */
unsigned root_unmount(struct root *r);

#endif
