/* SPDX-License-Identifier: MIT */
/* Image references as people write them: "alpine", "ghcr.io/team/app:v2",
 * "localhost:5000/x@sha256:...". Pure. */
#ifndef CTRZ_RUNTIME_OCI_REFERENCE_H
#define CTRZ_RUNTIME_OCI_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
	REFERENCE_MAX = 512, /* bytes of a whole reference */
	REPOSITORY_MAX = 255,
	TAG_MAX = 128,
};

struct reference {
	char *host;       /* owned: "docker.io", "localhost:5000", "[::1]:5000" */
	char *repository; /* owned: "library/alpine" */
	char *tag;        /* owned; NULL where only a digest is given */
	char *digest;     /* owned: "sha256:..."; NULL where none is given */
};

#define REFERENCE_INIT ((struct reference){ 0 })
#define AUTO_REFERENCE CLEANUP(reference_release) struct reference

/**
 * reference_parse() - split a reference and fill in what people leave out
 *
 * No host means docker.io, one name without a folder there means library/NAME, neither tag nor
 * digest means :latest. Return: 0, or -E_INVALID with what is wrong and what was meant
 */
int reference_parse(const char *text, struct reference *ret, struct error *err) MUST_CHECK;
void reference_release(struct reference *r);
/** reference_text() - the full form, owned: "docker.io/library/alpine:latest" */
char *reference_text(const struct reference *r);
/** reference_familiar() - the short form people expect, owned: "alpine:latest" */
char *reference_familiar(const struct reference *r);

/** digest_is_valid() - "sha256:" and 64, or "sha512:" and 128 lower-case hex digits */
bool digest_is_valid(const char *digest);
/** digest_short() - the first 12 hex digits, owned; for progress and messages */
char *digest_short(const char *digest);
/** host_is_loopback() - localhost, 127.0.0.0/8 or ::1, with or without a port */
bool host_is_loopback(const char *host);
/** host_is_link_local() - 169.254.0.0/16 or fe80::/10 written as a number, with or without a port
 */
bool host_is_link_local(const char *host);

#endif
