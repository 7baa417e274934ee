/* SPDX-License-Identifier: MIT */
/* One bare repository per URL: where it is, who may write it. */
#ifndef CTRZ_RUNTIME_SOURCE_CACHE_H
#define CTRZ_RUNTIME_SOURCE_CACHE_H

#include "runtime/source/source.h"

/** cache_dir() - of the repository of a URL; owned */
char *cache_dir(const struct source_options *o, const struct git_url *u);
/** cache_lock() - for the one that fetches; waits. Return: a descriptor, or -code */
int cache_lock(const struct source_options *o, const struct git_url *u,
	       struct error *err) MUST_CHECK;
/** cache_note_use() - for the order in which they are removed */
void cache_note_use(const char *dir);
/** cache_sweep() - remove what a fetch that was killed left in a repository; the lock is held */
void cache_sweep(const char *dir);
/** cache_name() - write down whose it is */
int cache_name(const char *dir, const struct git_url *u, struct error *err) MUST_CHECK;

#endif
