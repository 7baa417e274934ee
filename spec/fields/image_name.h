/* SPDX-License-Identifier: MIT */
/* The form of an image reference: [host[:port]/]path[:tag][@digest]. */
#ifndef CTRZ_SPEC_FIELDS_IMAGE_NAME_H
#define CTRZ_SPEC_FIELDS_IMAGE_NAME_H

#include <stdbool.h>
#include <stddef.h>

struct decode;
struct node;

struct image_name {
	size_t host;   /* bytes of the host part, 0 = none */
	size_t tag;    /* offset of the tag, 0 = none */
	size_t digest; /* offset of the digest, 0 = none */
};

/** image_name_parse() - Return: NULL, or what is wrong; *ret_code then "E301" or "E303", *ret_at
 * the offset of the part */
const char *image_name_parse(const char *text, struct image_name *ret, const char **ret_code,
			     size_t *ret_at);
/** image_digest_problem() - why a text can be no digest, NULL if it can; lent */
const char *image_digest_problem(const char *s);
/** check_image() - for the image key: reports E301 and E303 */
void check_image(struct decode *d, const struct node *n, const char *text);

#endif
