/* SPDX-License-Identifier: MIT */
/* Steps from the decoded model to the finished one. */
#ifndef CTRZ_SPEC_MODEL_MODEL_H
#define CTRZ_SPEC_MODEL_MODEL_H

#include "spec/fields/decode.h"

/** model_complete() - defaults, env_file, paths, implicit objects: nothing is left open afterwards
 */
void model_complete(struct decode *d, const struct spec_options *o, struct environment *env);
/** model_read_env_files() - the entries of env_file under those of env */
void model_read_env_files(struct decode *d, struct spec_container *c);
/** model_resolve() - where a path of the host leads now; the same for the same path ever after.
 * Lent
 */
const char *model_resolve(struct decode *d, const char *path);
/** env_file_parse() - entries of one file, in order; findings go to @d */
void env_file_parse(struct decode *d, const char *name, const char *text, size_t size,
		    struct spec_pairs *out);

/** model_validate() - all rules over the finished model */
void model_validate(struct decode *d, const struct spec_options *o, struct environment *env);

/* Parts of it. */
void validate_mounts(struct decode *d, const struct environment *env);
void validate_ports(struct decode *d, const struct environment *env);
void validate_networks(struct decode *d, const struct environment *env);
void validate_dependencies(struct decode *d, const struct environment *env);
void validate_resources(struct decode *d, const struct environment *env);
void validate_references(struct decode *d, const struct environment *env);

/** host_path_forbidden() - why a path of the host may not be shared at all, in few words; NULL if
 * it may. @path: absolute; @home: of the user, NULL = not known */
const char *host_path_forbidden(const char *path, const char *home);

/** suggest_name() - the object of a list (as KIND_MAP) whose name is nearest, or NULL */
const char *suggest_name(const void *list, const struct object_type *type, const char *name);

#endif
