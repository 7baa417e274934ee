/* SPDX-License-Identifier: MIT */
/* Shared libraries that are loaded when they are first needed. */
#include "base/delay_load.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

void delay_load_missing(void)
{
	log_error("a function of a library was called before the library was loaded");
	abort();
}

/* All or nothing: the first entry says whether the table is filled in. */
static int fill(const struct delay_library *library, const char *soname, struct error *err)
{
	size_t count = (size_t)(library->end - library->symbols);
	void *handle = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);

	if (!handle)
		return error_set(err, E_UNAVAILABLE,
				 "cannot load a library: %s; install the package that holds it",
				 dlerror()); /* NOLINT(concurrency-mt-unsafe) */
	for (size_t i = 0; i < count; i++)
		if (!dlsym(handle, library->symbols[i].name))
			return error_set(err, E_UNAVAILABLE,
					 "the library '%s' of this host has no function '%s'",
					 soname, library->symbols[i].name);
	for (size_t i = count; i > 0; i--)
		library->symbols[i - 1].address = dlsym(handle, library->symbols[i - 1].name);
	return 0;
}

int delay_load(const struct delay_library *library, const char *soname, struct error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int r = 0;

	(void)pthread_mutex_lock(&lock);
	if ((uintptr_t)library->symbols[0].address == (uintptr_t)delay_load_missing)
		r = fill(library, soname, err);
	(void)pthread_mutex_unlock(&lock);
	return r;
}
