/* SPDX-License-Identifier: MIT */
/* Where a spec came from: a repository at a commit, or a file of this host. */
#ifndef CTRZ_ORCHESTRATOR_STATE_SPEC_SOURCE_H
#define CTRZ_ORCHESTRATOR_STATE_SPEC_SOURCE_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json/json.h"

/* All owned. */
struct spec_source {
	char *url; /* of the repository, as git_url_repo() writes it; NULL = a file of this host */
	char *ref; /* as asked for; NULL = HEAD */
	char *commit; /* 40 hex digits */
	char *path;   /* of the spec in the repository */
};

#define SPEC_SOURCE_INIT ((struct spec_source){ 0 })
#define AUTO_SPEC_SOURCE CLEANUP(spec_source_release) struct spec_source

void spec_source_release(struct spec_source *s);
/** spec_source_copy() - @ret must be empty */
void spec_source_copy(struct spec_source *ret, const struct spec_source *s);
/** spec_source_is_git() - false for a file of this host */
bool spec_source_is_git(const struct spec_source *s);
/** spec_source_text() - "git+https://host/r.git#v3:env.yaml", which names it on a command line;
 * owned, NULL for a file of this host */
char *spec_source_text(const struct spec_source *s);

/** spec_source_to_json() - owned */
struct json *spec_source_to_json(const struct spec_source *s);
/** spec_source_from_json() - @what names the file in messages. Return: 0, or -E_INVALID */
int spec_source_from_json(const struct json *o, const char *what, struct spec_source *ret,
			  struct error *err) MUST_CHECK;

#endif
