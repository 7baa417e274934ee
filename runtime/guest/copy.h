/* SPDX-License-Identifier: MIT */
/* The host's end of a copy into or out of a running container. */
#ifndef CTRZ_RUNTIME_GUEST_COPY_H
#define CTRZ_RUNTIME_GUEST_COPY_H

#include "base/error.h"
#include "vminitd/protocol/copy.h"

/* What is copied: appends frames. Return: 1, 0 after COPY_DONE, -code */
struct copy_frames {
	int (*next)(void *arg, struct buffer *out, struct error *err);
	void *arg;
};

/* Where it goes: takes a frame. Return: 1, 0 after COPY_DONE, -code */
struct copy_sink {
	int (*frame)(void *arg, const struct frame *f, struct error *err);
	void *arg;
};

/** guest_copy_in() - @sock of machine_copy() with COPY_TO_GUEST is taken. Return: 0; what @from
 * returned; what the guest says; -E_UNAVAILABLE if the machine went away; -E_CANCELED by a signal
 */
int guest_copy_in(int sock, const struct copy_frames *from, struct error *err) MUST_CHECK;
/** guest_copy_out() - the other way */
int guest_copy_out(int sock, const struct copy_sink *to, struct error *err) MUST_CHECK;

/* A tar archive as frames. */
struct tar_frames;
/** tar_frames_new() - of the archive on @fd, lent */
struct tar_frames *tar_frames_new(int fd);
void tar_frames_free(struct tar_frames *t);
DEFINE_CLEANUP(struct tar_frames *, tar_frames_free)
int tar_frames_next(struct tar_frames *t, struct buffer *out, struct error *err) MUST_CHECK;
const struct copy_counts *tar_frames_counts(const struct tar_frames *t);

/* Frames as a tar archive. */
struct tar_sink;
/** tar_sink_new() - to @fd, lent; @top is what the first entry is called, "." for the contents of a
 * folder. Return: 0 or -E_UNAVAILABLE */
int tar_sink_new(int fd, const char *top, struct tar_sink **ret, struct error *err) MUST_CHECK;
void tar_sink_free(struct tar_sink *t);
DEFINE_CLEANUP(struct tar_sink *, tar_sink_free)
int tar_sink_frame(struct tar_sink *t, const struct frame *f, struct error *err) MUST_CHECK;
const struct copy_counts *tar_sink_counts(const struct tar_sink *t);

#endif
