/* SPDX-License-Identifier: MIT */
/* A first env.yaml for a folder, by what lies in it. */
#ifndef CTRZ_SPEC_INIT_H
#define CTRZ_SPEC_INIT_H

#include "base/buffer.h"
#include "spec/spec.h"

/**
 * spec_init() - append a first env.yaml for @dir
 * @host: its path callback is asked what is there
 *
 * Return: what was found, for a line to the user ("a Node.js project (package.json)")
 */
const char *spec_init(const struct spec_host *host, const char *dir, struct buffer *out);

#endif
