/* SPDX-License-Identifier: MIT */
/* A Compose file made into an env.yaml. */
#ifndef CTRZ_SPEC_COMPOSE_IMPORT_H
#define CTRZ_SPEC_COMPOSE_IMPORT_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "spec/report/diagnostics.h"

/**
 * compose_import() - read a Compose file
 * @text, @size: its content, @name: what to call it
 * @out: the env.yaml is appended
 * @diags: W801 for all that could not be carried over, W802 for what changed its meaning
 *
 * Return: 0; -E_INVALID if it is no Compose file (the findings say why)
 */
int compose_import(const char *text, size_t size, const char *name, struct buffer *out,
		   struct diagnostics *diags, struct error *err) MUST_CHECK;

/** compose_key_advice() - what to do instead of a key of a Compose service that there is nothing
 * like here; NULL if it is no such key */
const char *compose_key_advice(const char *key);
/** compose_keys() - the keys of a service that have a rule here */
void compose_keys(struct strlist *out);

#endif
