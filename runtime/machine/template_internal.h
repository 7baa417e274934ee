/* SPDX-License-Identifier: MIT */
/* The folder of templates as template.c and template_make.c see it; private to those two. */
/*
 *	lock            held by whoever makes or removes
 *	KEY/            0700; KEY is a digest of everything the template depends on
 *	    memory      0400; sparse
 *	    state       0400; QEMU's migration stream
 *	    disk        0400; sparse; an image's: the writable disk
 *	    template.json  written last
 *	KEY.new/        half made, or half removed
 *	KEY.failed      why it could not be made; believed for a while
 */
#ifndef CTRZ_RUNTIME_MACHINE_TEMPLATE_INTERNAL_H
#define CTRZ_RUNTIME_MACHINE_TEMPLATE_INTERNAL_H

#include "runtime/machine/keeper_config.h"
#include "runtime/machine/template.h"

#define TEMPLATE_MEMORY "memory"
#define TEMPLATE_STATE "state"
#define TEMPLATE_DISK "disk"
#define TEMPLATE_RECORD "template.json"
#define TEMPLATE_NEW ".new"

enum { TEMPLATE_STATE_MAX = 64 * 1024 * 1024 };

/** template_key() - owned name of the template for @c. Return: 0 or -code */
int template_key(const struct keeper_config *c, enum template_kind kind, char **ret,
		 struct error *err) MUST_CHECK;
/** template_write_record() - after the files are complete and synced; @folder is KEY.new/KEY */
int template_write_record(const char *folder, const char *key, const struct keeper_config *c,
			  enum template_kind kind, struct error *err) MUST_CHECK;
/** template_make() - start a machine and save it below @folder; its own lock is held */
int template_make(const char *folder, const char *key, const struct keeper_config *c,
		  enum template_kind kind, struct error *err) MUST_CHECK;

/* The devices of a machine that becomes a template, or that stands for one. */
struct template_seating {
	char *lower, *upper; /* lent: the disks' serials; NULL = none */
	char *image, *disk;  /* lent: their files; NULL = placeholders */
	char *empty;         /* lent: of the writable one; NULL = it is none */
	bool has_nic;
	uint32_t mtu;
	struct machine_disk disks[2];
	struct machine_nic nic;
};

/** template_seat() - give @m placeholders as in @s, which is lent, and room for @ports devices in
 * all */
void template_seat(struct machine_config *m, struct template_seating *s, unsigned ports);

#endif
