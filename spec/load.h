/* SPDX-License-Identifier: MIT */
/* Reading files of the language, shared by env.yaml and config.yaml. */
#ifndef CTRZ_SPEC_LOAD_H
#define CTRZ_SPEC_LOAD_H

#include "spec/fields/decode.h"

/** load_bytes() - the whole of a file of the language, from wherever it is; appended */
int load_bytes(struct decode *d, const char *path, size_t max, struct buffer *out,
	       struct error *err) MUST_CHECK;
/** load_resolved() - the same of a file whose content a container gets: where its links lead is
 * looked up once, and what is read is that */
int load_resolved(struct decode *d, const char *path, size_t max, struct buffer *out,
		  struct error *err) MUST_CHECK;
/** load_file() - a file's text into the sources. Return: it, or NULL with @err set */
struct source *load_file(struct decode *d, const char *path, const char *name, struct error *err);
/** load_problem() - why a file could not be read, in few words; lent */
const char *load_problem(const struct error *err);
/** load_summary() - E_INVALID with "env.yaml: 3 errors" */
int load_summary(const char *name, const struct diagnostics *diags, struct error *err);

extern const struct spec_host no_host;

#endif
