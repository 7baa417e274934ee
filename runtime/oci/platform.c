/* SPDX-License-Identifier: MIT */
/* Parsing and matching of image platforms. */
#include "runtime/oci/platform.h"

#include <ctype.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/text.h"

enum { PLATFORM_PART_MAX = 32 };

/* What the kernel and people call the architectures of the image spec (which uses Go's names). */
static const struct {
	const char *name, *architecture, *variant;
} aliases[] = {
	{ "x86_64", "amd64", NULL },    { "x86-64", "amd64", NULL },
	{ "aarch64", "arm64", NULL },   { "i386", "386", NULL },
	{ "i686", "386", NULL },        { "armhf", "arm", "v7" },
	{ "armv7l", "arm", "v7" },      { "armv6l", "arm", "v6" },
	{ "armel", "arm", "v6" },       { "riscv64", "riscv64", NULL },
	{ "ppc64el", "ppc64le", NULL },
};

void platform_release(struct platform *p)
{
	free(p->os);
	free(p->architecture);
	free(p->variant);
	*p = PLATFORM_INIT;
}

static void set_architecture(struct platform *p, const char *name)
{
	p->architecture = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (str_equal(aliases[i].name, name)) {
			p->architecture = xstrdup(aliases[i].architecture);
			p->variant = xstrdup_null(aliases[i].variant);
			return;
		}
	}
	p->architecture = xstrdup(name);
}

void platform_host(struct platform *ret)
{
	struct utsname u;
	*ret = (struct platform){ .os = xstrdup("linux") };
	set_architecture(ret, uname(&u) == 0 ? u.machine : "amd64");
}

static bool part_is_valid(const char *s)
{
	size_t n = 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '.' || s[n] == '-')
		n++;
	return n > 0 && n <= PLATFORM_PART_MAX && s[n] == '\0';
}

int platform_parse(const char *text, struct platform *ret, struct error *err)
{
	if (!text) {
		platform_host(ret);
		return 0;
	}
	char parts[3][PLATFORM_PART_MAX + 1] = { 0 };
	size_t count = 0;
	bool ok = true;
	for (const char *p = text; ok; p++) {
		size_t n = strcspn(p, "/");
		ok = count < 3 && n <= PLATFORM_PART_MAX;
		if (ok) {
			memcpy(parts[count], p, n);
			ok = part_is_valid(parts[count++]);
		}
		p += n;
		if (*p == '\0')
			break;
	}
	if (!ok) {
		AUTO_FREE char *shown = text_escaped(text);
		return error_set(
			err, E_INVALID,
			"platform '%s': write OS/ARCH or OS/ARCH/VARIANT, like linux/amd64", shown);
	}
	*ret = (struct platform){ .os = xstrdup(count == 1 ? "linux" : parts[0]) };
	set_architecture(ret, parts[count == 1 ? 0 : 1]);
	if (count == 3) {
		free(ret->variant);
		ret->variant = xstrdup(parts[2]);
	}
	return 0;
}

char *platform_text(const struct platform *p)
{
	return xasprintf("%s/%s%s%s", p->os ? p->os : "", p->architecture ? p->architecture : "",
			 p->variant ? "/" : "", p->variant ? p->variant : "");
}

/* "v7" is 7; a missing variant is the baseline of its architecture; -1 for what is no number. */
static int variant_level(const struct platform *p)
{
	if (!p->variant || p->variant[0] == '\0') {
		if (str_equal(p->architecture, "arm"))
			return 7;
		return str_equal(p->architecture, "arm64") ? 8 : 1;
	}
	uint64_t level;
	const char *digits = p->variant[0] == 'v' ? p->variant + 1 : p->variant;
	return parse_u64(digits, 99, &level) ? (int)level : -1;
}

int platform_rank(const struct platform *have, const struct platform *want)
{
	if (!str_equal(have->os, want->os) || !str_equal(have->architecture, want->architecture))
		return -1;
	int have_level = variant_level(have), want_level = variant_level(want);
	if (have_level < 0 || want_level < 0)
		return str_equal(have->variant, want->variant) ? 100 : -1;
	return have_level <= want_level ? have_level : -1;
}
