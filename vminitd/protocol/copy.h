/* SPDX-License-Identifier: MIT */
/* A tree of files as a stream of frames, made and taken apart by the same code at both ends. */
/*
 * DOC: Theory of Operation
 *
 * One end walks what is copied and emits frames, the other makes files of them. A folder is entered
 * by its entry and left by COPY_LEAVE, a file is its entry, its data and COPY_LEAVE; so every entry
 * has just a name, in the folder that is open, and there are no paths to be led astray by.
 * COPY_DONE ends the stream: without it something is missing. What is read and made below the top
 * is opened by name from a descriptor of its folder and never through a symbolic link; the top is
 * found by openat2() inside a given root. A further name of a file says its number, which the
 * receiver knows the place of; holes are told as such.
 */
#ifndef CTRZ_VMINITD_PROTOCOL_COPY_H
#define CTRZ_VMINITD_PROTOCOL_COPY_H

#include "vminitd/protocol/message.h"

/* Types of the frames inside a stream that copies; they mean nothing elsewhere. */
enum copy_frame {
	COPY_ENTRY = 1,
	COPY_DATA,
	COPY_LEAVE,
	COPY_DONE,
	COPY_HOLE /* be64: so many bytes of the file are zeros, at most COPY_HOLE_MAX */
};

enum {
	COPY_DEPTH_MAX = 400,
	COPY_NAME_MAX = 255,
	COPY_CHUNK = 64 * 1024,
	COPY_SAME_MAX = 1 << 18, /* files with several names; more are copied once for each */
	COPY_HOLE_MAX = 1 << 30,
};

struct copy_counts {
	uint64_t files, bytes; /* of content */
	uint64_t skipped;      /* devices, sockets, pipes, and file systems like /proc */
	uint64_t bare;         /* files whose extended attributes have no place there */
};

/** copy_name_is_plain() - a name that stays in its folder: not "", ".", "..", nor with a slash */
bool copy_name_is_plain(const char *name);
/** copy_hole() - the size a COPY_HOLE tells. Return: 0 if it is none */
uint64_t copy_hole(const struct frame *f);
/** copy_path_contents() - whether @path means what is in a folder rather than the folder: ends with
 * "/." or is "." or "/" */
bool copy_path_contents(const char *path);

struct copy_source;

/**
 * copy_source_open() - what is to be copied
 * @root: descriptor of the folder that is "/" for @path, lent
 * @follow: if @path is a symbolic link, what it leads to
 *
 * Return: 0, -E_NOT_FOUND, another -code
 */
int copy_source_open(int root, const char *path, bool follow, struct copy_source **ret,
		     struct error *err) MUST_CHECK;
void copy_source_free(struct copy_source *s);
DEFINE_CLEANUP(struct copy_source *, copy_source_free)
/** copy_source_next() - append the next frame, at most COPY_CHUNK and a header. Return: 1, 0 if
 * COPY_DONE was the last one, or -code */
int copy_source_next(struct copy_source *s, struct buffer *out, struct error *err) MUST_CHECK;
const struct copy_counts *copy_source_counts(const struct copy_source *s);

/* Where a copy goes, and what it may bring along. */
struct copy_target_options {
	int root;         /* descriptor of the folder that is "/" for path; lent */
	const char *path; /* by the rules of cp: see copy_target_frame() */
	const char *name; /* what is copied is called so in a folder that is there */
	bool contents;    /* of the folder that is copied, not the folder itself */
	bool keeps_owner;
	unsigned mode_mask; /* bits of a mode that are kept */
};

struct copy_target;

/** copy_target_new() - @o is lent until copy_target_free(), which removes a file that is half
 * written; what it was to replace is still there */
struct copy_target *copy_target_new(const struct copy_target_options *o);
void copy_target_free(struct copy_target *t);
DEFINE_CLEANUP(struct copy_target *, copy_target_free)
/**
 * copy_target_frame() - take the next frame
 *
 * The first entry decides where the copy goes: into a folder that is there, under its name or, with
 * contents, without one; over a file, if it is one; else to the path itself, whose folder must be
 * there. Return: 1, 0 after COPY_DONE, -E_NOT_FOUND for a folder that is missing, -E_CONFLICT if
 * something else is in the way, -E_INTEGRITY for frames that cannot be, another -code
 */
int copy_target_frame(struct copy_target *t, const struct frame *f, struct error *err) MUST_CHECK;
const struct copy_counts *copy_target_counts(const struct copy_target *t);

#endif
