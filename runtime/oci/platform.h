/* SPDX-License-Identifier: MIT */
/* Platforms of images: "linux/amd64", "linux/arm/v7". Pure but for platform_host(). */
#ifndef CTRZ_RUNTIME_OCI_PLATFORM_H
#define CTRZ_RUNTIME_OCI_PLATFORM_H

#include "base/cleanup.h"
#include "base/error.h"

struct platform {
	char *os, *architecture; /* owned; "" where the image does not say */
	char *variant;           /* owned; NULL or "v7", "v8", "v3" */
};

#define PLATFORM_INIT ((struct platform){ 0 })
#define AUTO_PLATFORM CLEANUP(platform_release) struct platform

void platform_release(struct platform *p);
/** platform_parse() - "OS/ARCH[/VARIANT]" or just an architecture; NULL = the host's. aarch64 and
 * x86_64 are understood */
int platform_parse(const char *text, struct platform *ret, struct error *err) MUST_CHECK;
/** platform_host() - linux and the machine this runs on */
void platform_host(struct platform *ret);
/** platform_text() - owned "linux/arm/v7" */
char *platform_text(const struct platform *p);
/**
 * platform_rank() - how well @have serves @want
 *
 * Return: -1 = it does not run there, else the higher the better. A missing variant means the
 * architecture's baseline; a lower variant runs on a higher one.
 */
int platform_rank(const struct platform *have, const struct platform *want);

#endif
