/* SPDX-License-Identifier: MIT */
/* Cleanup attributes: resources are released at the end of their scope unless handed over. */
#ifndef CTRZ_BASE_CLEANUP_H
#define CTRZ_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)
#define AUTO_FILE CLEANUP(cleanup_file)
#define AUTO_DIR CLEANUP(cleanup_dir)

/* DEFINE_CLEANUP(struct thing *, thing_free) makes thing_free_p() for CLEANUP(thing_free_p). */
#define DEFINE_CLEANUP(type, fn)           \
	static inline void fn##_p(type *p) \
	{                                  \
		if (*p)                    \
			fn(*p);            \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

static inline void cleanup_dir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/** take_fd() - hand a descriptor over: returns it and leaves -1 behind */
static inline int take_fd(int *fd)
{
	int value = *fd;
	*fd = -1;
	return value;
}

static inline void *take_ptr_(void *pp)
{
	void **slot = pp;
	void *value = *slot;
	*slot = NULL;
	return value;
}

/** TAKE_PTR(p) - hand a pointer over: yields it and leaves NULL behind */
#define TAKE_PTR(p) take_ptr_(&(p))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
