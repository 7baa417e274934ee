/* SPDX-License-Identifier: MIT */
/* What a container is given by name: files and secrets, with their values. The values live in
 * memory and go to the guest by the keeper; the state remembers marks. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_CONTENTS_H
#define CTRZ_ORCHESTRATOR_APPLY_CONTENTS_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json/json.h"
#include "base/text.h"
#include "orchestrator/apply/world.h"
#include "runtime/machine/machine.h"

#define SECRETS_DIR "/run/secrets"
/* Where secrets lie that the container sees somewhere else, by a link. */
#define SECRETS_LINKED SECRETS_DIR "/.at"

enum { CONTENTS_FILE_MAX = 1 << 20, CONTENTS_ALL_MAX = 3 << 20 };

struct contents {
	struct msg_write_file *files; /* pieces, in order; owned */
	size_t file_count, file_room;
	struct strlist secret_env; /* "NAME=value" */
	bool has_secret_files;
	struct json *marks; /* {"files": {NAME: digest}, "secrets": {NAME: HMAC}}; owned */
	size_t bytes;
};

#define CONTENTS_INIT ((struct contents){ 0 })
#define AUTO_CONTENTS CLEANUP(contents_release) struct contents

/** contents_release() - values are wiped */
void contents_release(struct contents *c);

/**
 * contents_make() - read everything that container @spec is given
 * @user: whom secrets belong to where the spec does not say; "" = root
 *
 * Return: 0, or -code with the place in the spec
 */
int contents_make(const struct world *w, const struct spec_container *spec, const char *user,
		  struct contents *ret, struct error *err) MUST_CHECK;

/** contents_differ() - whether what container @name was given under @kind ("files", "secrets") and
 * @item is not what the spec and the host say now; false where nobody can tell */
bool contents_differ(const struct world *w, const char *name, const char *kind, const char *item);

/** secret_is_kept() - whether ctrz itself keeps the value: generated, or asked for */
bool secret_is_kept(const struct spec_secret *s);
/** secret_make() - generate and keep the value of a secret, unless there is one */
int secret_make(const struct world *w, const struct spec_secret *s, struct error *err) MUST_CHECK;

#endif
