/* SPDX-License-Identifier: MIT */
/* Names of tar entries, and the way through the image's tree they describe. */
#ifndef CTRZ_RUNTIME_IMAGE_IMAGE_PATH_H
#define CTRZ_RUNTIME_IMAGE_IMAGE_PATH_H

#include "runtime/image/image_builder.h"

/* A name taken apart; "" as folder is the root, an empty base the root itself. */
struct image_path {
	char text[TAR_PATH_MAX + 1]; /* cleaned: "a/b/c" */
	const char *base;            /* in text: "c" */
	size_t base_size;
	size_t folder_size; /* of "a/b" */
};

/** image_path_parse() - @rooted takes "/a" as "a". Return: 0 or -E_INTEGRITY, without the name in
 * the message */
int image_path_parse(const char *name, bool rooted, struct image_path *ret,
		     struct error *err) MUST_CHECK;

enum walk_purpose {
	/* Folders on the way that are missing are made; those there count as touched by this layer.
	 */
	WALK_TO_ADD,
	WALK_TO_FIND,
	/* What lower layers have. Where this layer put something else in the folder's place nothing
	 * of them is left: builders write whiteouts below such names. */
	WALK_TO_HIDE,
};

/**
 * image_path_walk() - find the folder a path is in
 *
 * Return: 0, with TREE_NONE if it is not there and not to be made; -E_INTEGRITY if something on the
 * way is no folder
 */
int image_path_walk(struct image_builder *b, const struct image_path *path,
		    enum walk_purpose purpose, uint32_t *ret, struct error *err) MUST_CHECK;

/** image_path_forget() - call after names went away */
void image_path_forget(struct image_builder *b);

#endif
