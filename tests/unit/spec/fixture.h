/* SPDX-License-Identifier: MIT */
/* A made-up host for the rules that look at one, set by "#@" lines at the head of a file:
 *   #@ path PATH dir|file|other|loop|denied      everything else is missing
 *   #@ real PATH PATH                            where links lead
 *   #@ env NAME=VALUE     #@ port PORT HOLDER    #@ route ADDRESS/BITS HOLDER
 *   #@ cpus N             #@ memory SIZE         #@ available SIZE       #@ home PATH
 *   #@ profile NAME       #@ strict              #@ now (keys without effect are refused)
 *   #@ state PATH
 *   #@ lock NAME          the file's own name: with the lock beside it; locked: as --locked
 *   #@ platform OS/ARCH   #@ include URL COMMIT NAME
 *   #@ low-ports          #@ overlay NAME       #@ image REFERENCE PLATFORMS
 */
#ifndef CTRZ_TESTS_SPEC_FIXTURE_H
#define CTRZ_TESTS_SPEC_FIXTURE_H

#include "base/map.h"
#include "base/text.h"
#include "spec/spec.h"

struct fixture {
	const char *dir; /* where the files of "/project" really are; lent */
	struct map paths, real, env, ports, images, includes;
	struct strlist routes, profiles, overlays;
	struct spec_host host;
	bool is_strict, refuses_later;
	enum spec_lock_mode lock;
	char *home, *state, *platform; /* owned */
};

/** fixture_init() - from the head of @text */
void fixture_init(struct fixture *f, const char *dir, const char *text);
void fixture_release(struct fixture *f);
/** fixture_load() - @text as /project/env.yaml of that host */
int fixture_load(struct fixture *f, const char *text, size_t size, struct environment **ret,
		 struct diagnostics *diags, struct error *err);

#endif
