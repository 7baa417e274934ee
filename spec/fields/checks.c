/* SPDX-License-Identifier: MIT */
/* What a single text has to look like, by the check column of the field tables. */
#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/git_url.h"
#include "base/text.h"
#include "spec/fields/decode.h"
#include "spec/fields/image_name.h"
#include "spec/fields/kernel_names.h"
#include "spec/fields/units.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { SHA256_DIGITS = 64 };

static const char *const patterns[CHECK_COUNT] = {
	[CHECK_NAME] = "^[a-z0-9][a-z0-9-]{0,62}$",
	[CHECK_VAR] = "^[A-Z_][A-Z0-9_]*$",
	[CHECK_LOOSE] = "^[A-Za-z0-9._-]{1,128}$",
	[CHECK_TARGET] = "^/.",
	[CHECK_HOST_PATH] = ".",
	[CHECK_SUBNET] = "^[0-9.]+/[0-9]+$",
	[CHECK_PLATFORM] = "^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$",
	[CHECK_HOSTNAME] = "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
	[CHECK_SCHEME] = "^https?$",
	[CHECK_URL_PATH] = "^/",
	[CHECK_ENV_NAME] = "^[A-Za-z_][A-Za-z0-9_.-]*$",
	[CHECK_DIGEST] = "^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$",
	[CHECK_COMMIT] = "^[0-9a-f]{40}$",
	[CHECK_SHA256] = "^[0-9a-f]{64}$",
};

const char *text_check_pattern(enum text_check check)
{
	return patterns[check];
}

static bool made_of(const char *s, const char *first, const char *rest, size_t max)
{
	return *s && strchr(first, *s) && strspn(s + 1, rest) + 1 == strlen(s) && strlen(s) <= max;
}

/* Name checks: NULL, or the rule in words. */
static const char *name_rule(enum text_check check, const char *s)
{
	if (check == CHECK_NAME && !made_of(s, LOWER DIGITS, LOWER DIGITS "-", 63))
		return "lower-case letters, digits and -, at most 63, not - first";
	if (check == CHECK_VAR && !made_of(s, UPPER "_", UPPER DIGITS "_", 128))
		return "capital letters, digits and _, not a digit first";
	if (check == CHECK_LOOSE &&
	    (!made_of(s, LOWER UPPER DIGITS "._-", LOWER UPPER DIGITS "._-", 128) ||
	     str_equal(s, ".") || str_equal(s, "..")))
		return "letters, digits, dot, _ and -, at most 128";
	if (check == CHECK_ENV_NAME && !made_of(s, LOWER UPPER "_", LOWER UPPER DIGITS "_.-", 4096))
		return "letters, digits, _, dot and -, a letter or _ first";
	if (check == CHECK_HOSTNAME &&
	    (!made_of(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS ".-_", 63) || str_ends(s, "-") ||
	     str_ends(s, ".")))
		return "letters, digits, - and dots, at most 63, a letter or digit first and last";
	return NULL;
}

/* The name with what is not allowed replaced, as a proposal. */
static char *mended_name(const char *s)
{
	char *out = xstrndup(s, 63);
	size_t n = 0;
	for (size_t i = 0; out[i]; i++) {
		char c = out[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!strchr(LOWER DIGITS, c))
			c = '-';
		if (c == '-' && n == 0)
			continue;
		out[n++] = c;
	}
	out[n] = 0;
	return out;
}

static void bad_name(struct decode *d, enum text_check check, const struct node *n,
		     const char *what, const char *rule)
{
	struct diagnostic *e = report(d->diags, "E106", n->pos, n->width, "\"%s\" cannot be %s",
				      shown(d, n->text), what);
	if (check == CHECK_NAME) {
		AUTO_FREE char *mended = mended_name(n->text);
		if (*mended)
			report_hint(e, "%s?", mended);
	}
	report_help(e, "allowed: %s", rule);
}

static void check_target(struct decode *d, const struct node *n, const char *s)
{
	static const char *const own[] = { "/", "/proc", "/sys", "/dev", "/run/secrets" };
	AUTO_FREE char *clean = path_clean(s); /* "//proc" and "/proc/" are /proc */
	const char *problem = NULL;
	if (s[0] != '/')
		problem = "is not absolute; it is a path in the container and begins with /";
	else if (strstr(s, "/../") || str_ends(s, "/.."))
		problem = "has \"..\" in it";
	for (size_t i = 0; !problem && i < ARRAY_SIZE(own); i++) {
		size_t size = strlen(own[i]);
		bool is_below = size > 1 && strncmp(clean, own[i], size) == 0 && clean[size] == '/';
		if (strcmp(clean, own[i]) == 0 || (is_below && strcmp(own[i], "/dev") != 0 &&
						   strcmp(own[i], "/run/secrets") != 0))
			problem = "belongs to the system inside";
	}
	if (problem)
		report_help(report(d->diags, "E405", n->pos, n->width, "\"%s\" %s", shown(d, s),
				   problem),
			    "write an absolute path of its own, as /srv/data");
}

static void check_signal(struct decode *d, const struct node *n, const char *s)
{
	if (signal_number(s) > 0)
		return;
	struct diagnostic *e =
		report(d->diags, "E603", n->pos, n->width, "unknown signal \"%s\"", shown(d, s));
	const char *near = signal_suggest(s);
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	report_help(e, "a name as SIGTERM, or a number from 1 to 64");
}

bool spec_subnet_parse(const char *text, uint32_t *ret_base, unsigned *ret_bits)
{
	char copy[32];
	const char *slash = strchr(text, '/');
	uint64_t bits;
	struct in_addr a;
	if (!slash || (size_t)(slash - text) >= sizeof(copy))
		return false;
	memcpy(copy, text, (size_t)(slash - text));
	copy[slash - text] = 0;
	if (inet_pton(AF_INET, copy, &a) != 1 || !parse_u64(slash + 1, 32, &bits))
		return false;
	*ret_base = ntohl(a.s_addr);
	*ret_bits = (unsigned)bits;
	return true;
}

static void check_subnet(struct decode *d, const struct node *n, const char *s)
{
	uint32_t base;
	unsigned bits;
	if (!spec_subnet_parse(s, &base, &bits) || bits < 8 || bits > 29) {
		struct diagnostic *e = report(d->diags, "E512", n->pos, n->width,
					      "\"%s\" is no subnet", shown(d, s));
		report_help(e, "write an IPv4 subnet of 8 to 29 bits, as 10.77.0.0/24");
		return;
	}
	uint32_t mask = UINT32_MAX << (32 - bits);
	if (base & ~mask) {
		struct in_addr a = { htonl(base & mask) };
		char text[INET_ADDRSTRLEN];
		struct diagnostic *e = report(d->diags, "E512", n->pos, n->width,
					      "\"%s\" is an address in a subnet", shown(d, s));
		report_hint(e, "%s/%u?", inet_ntop(AF_INET, &a, text, sizeof(text)), bits);
	}
}

static void check_address(struct decode *d, const struct node *n, const char *s)
{
	struct in6_addr a;
	if (inet_pton(AF_INET, s, &a) == 1)
		return;
	struct diagnostic *e = report(d->diags, "E512", n->pos, n->width,
				      "\"%s\" is no IPv4 address", shown(d, s));
	if (inet_pton(AF_INET6, s, &a) == 1)
		report_help(e, "IPv6 is not there yet");
	else if (str_equal(s, "localhost"))
		report_hint(e, "127.0.0.1");
	else
		report_help(e, "an address is four numbers, as 10.77.0.10");
}

static void check_platform(struct decode *d, const struct node *n, const char *s)
{
	static const char *const known[] = { "linux/amd64", "linux/arm64", "linux/arm64/v8" };
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(s, known[i]) == 0)
			return;
	struct diagnostic *e =
		report(d->diags, "E107", n->pos, n->width, "unknown platform \"%s\"", shown(d, s));
	const char *near = text_suggest(s, known, ARRAY_SIZE(known));
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	report_help(e, "linux/amd64 or linux/arm64");
}

static void check_owner(struct decode *d, const struct node *n, const char *s)
{
	const char *colon = strchr(s, ':');
	size_t first = colon ? (size_t)(colon - s) : strlen(s);
	bool is_number = first && strspn(s, DIGITS) == first;
	bool is_good = is_number
			       ? (!colon || (colon[1] && colon[1 + strspn(colon + 1, DIGITS)] == 0))
			       : !colon && made_of(s, LOWER "_", LOWER DIGITS "_.-", 32);
	if (!is_good)
		report(d->diags, "E107", n->pos, n->width,
		       "\"%s\" is no owner: a name, uid, uid:gid or same", shown(d, s));
}

static void check_version(struct decode *d, const struct node *n, const char *s)
{
	size_t op = strspn(s, "<>=");
	const char *digits = s + op + strspn(s + op, " ");
	bool is_good = op <= 2 && *digits && digits[strspn(digits, DIGITS ".")] == 0 &&
		       digits[0] != '.' && !strstr(digits, "..");
	if (!is_good)
		report_help(report(d->diags, "E608", n->pos, n->width,
				   "\"%s\" is no requirement of a version", shown(d, s)),
			    "write it as \">=0.1\"");
}

/* host, host:port, address or CIDR. */
static bool is_host_port(const char *s, bool allows_cidr)
{
	uint32_t base;
	unsigned bits;
	if (allows_cidr && spec_subnet_parse(s, &base, &bits))
		return true;
	const char *colon = strchr(s, ':');
	size_t host = colon ? (size_t)(colon - s) : strlen(s);
	uint64_t port;
	if (colon && (!parse_u64(colon + 1, 65535, &port) || !port))
		return false;
	AUTO_FREE char *name = xstrndup(s, host);
	const char *from = name;
	if (allows_cidr && str_starts(from, "*."))
		from += 2;
	return made_of(from, LOWER UPPER DIGITS, LOWER UPPER DIGITS ".-_", 253);
}

static void check_host(struct decode *d, const struct node *n, const char *s, bool is_egress)
{
	if (is_host_port(s, is_egress))
		return;
	struct diagnostic *e = report(d->diags, is_egress ? "E512" : "E106", n->pos, n->width,
				      "\"%s\" is no host%s", shown(d, s),
				      is_egress ? ", host:port or CIDR" : " or host:port");
	if (strstr(s, "://"))
		report_help(e, "without the scheme: %s", shown(d, strstr(s, "://") + 3));
}

static void check_capability(struct decode *d, const struct node *n, const char *s)
{
	if (capability_mask(s))
		return;
	struct diagnostic *e = report(d->diags, "E606", n->pos, n->width,
				      "unknown capability \"%s\"", shown(d, s));
	const char *near = capability_suggest(s);
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
}

static void check_kernel_key(struct decode *d, enum text_check check, const struct node *n,
			     const char *s)
{
	bool is_known = check == CHECK_ULIMIT ? ulimit_number(s) >= 0 : sysctl_is_known(s);
	if (is_known)
		return;
	struct diagnostic *e = report(d->diags, "E606", n->pos, n->width, "unknown %s \"%s\"",
				      check == CHECK_ULIMIT ? "ulimit" : "sysctl", shown(d, s));
	const char *near = check == CHECK_ULIMIT ? ulimit_suggest(s) : NULL;
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	if (check == CHECK_SYSCTL)
		report_help(e, "names are dotted and begin with fs, kernel, net, user or vm");
}

static void check_form(struct decode *d, const struct node *n, const char *s, enum text_check check)
{
	const char *want = NULL;
	if (check == CHECK_HOST_PATH && !*s)
		want = "a path";
	else if (check == CHECK_SCHEME && !str_equal(s, "http") && !str_equal(s, "https"))
		want = "http or https";
	else if (check == CHECK_URL_PATH && s[0] != '/')
		want = "a path that begins with /";
	else if (check == CHECK_SUBPATH &&
		 (s[0] == '/' || str_starts(s, "../") || strstr(s, "/../") || str_ends(s, "/..") ||
		  str_equal(s, "..") || !*s))
		want = "a relative path without \"..\"";
	if (want)
		report(d->diags, check == CHECK_HOST_PATH ? "E103" : "E107", n->pos, n->width,
		       "expected %s, got \"%s\"", want, shown(d, s));
}

static void check_hex(struct decode *d, const struct node *n, const char *s, size_t digits,
		      const char *what)
{
	if (strlen(s) != digits || s[strspn(s, DIGITS "abcdef")])
		report_help(report(d->diags, "E307", n->pos, n->width, "\"%s\" is no %s",
				   shown(d, s), what),
			    "it has %zu hexadecimal digits, the letters lower-case", digits);
}

static void check_digest(struct decode *d, const struct node *n, const char *s)
{
	const char *problem = image_digest_problem(s);

	if (problem)
		report_help(report(d->diags, "E303", n->pos, n->width, "\"%s\" is no digest",
				   shown(d, s)),
			    "%s", problem);
}

/* A key that is looked up has to be written as we write it. */
static void check_git_url(struct decode *d, const struct node *n, const char *s)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *text = NULL;

	if (git_url_parse(s, &u, &err) < 0) {
		report(d->diags, "E703", n->pos, n->width, "%s", error_message(&err));
		return;
	}
	text = git_url_text(&u);
	if (strcmp(text, s) != 0)
		report_hint(report(d->diags, "E703", n->pos, n->width,
				   "\"%s\" is not the form a lock has", shown(d, s)),
			    "%s", shown(d, text));
}

void check_text(struct decode *d, enum text_check check, const struct node *n, const char *s)
{
	const char *rule = name_rule(check, s);
	if (n->is_broken)
		return;
	if (rule) {
		struct diagnostic *e = report(d->diags, "E106", n->pos, n->width,
					      "\"%s\" cannot be a name", shown(d, s));
		report_help(e, "allowed: %s", rule);
		return;
	}
	switch (check) {
	case CHECK_IMAGE:
		check_image(d, n, s);
		break;
	case CHECK_TARGET:
		check_target(d, n, s);
		break;
	case CHECK_SIGNAL:
		check_signal(d, n, s);
		break;
	case CHECK_SUBNET:
		check_subnet(d, n, s);
		break;
	case CHECK_ADDRESS:
		check_address(d, n, s);
		break;
	case CHECK_PLATFORM:
		check_platform(d, n, s);
		break;
	case CHECK_OWNER:
		check_owner(d, n, s);
		break;
	case CHECK_CAPABILITY:
		check_capability(d, n, s);
		break;
	case CHECK_VERSION:
		check_version(d, n, s);
		break;
	case CHECK_EGRESS:
	case CHECK_HOST_PORT:
		check_host(d, n, s, check == CHECK_EGRESS);
		break;
	case CHECK_HOST_PATH:
	case CHECK_SCHEME:
	case CHECK_URL_PATH:
	case CHECK_SUBPATH:
		check_form(d, n, s, check);
		break;
	case CHECK_DIGEST:
		check_digest(d, n, s);
		break;
	case CHECK_COMMIT:
		check_hex(d, n, s, GIT_COMMIT_DIGITS, "commit");
		break;
	case CHECK_SHA256:
		check_hex(d, n, s, SHA256_DIGITS, "SHA-256");
		break;
	case CHECK_GIT_URL:
		check_git_url(d, n, s);
		break;
	case CHECK_NONE:
	case CHECK_NAME:
	case CHECK_VAR:
	case CHECK_LOOSE:
	case CHECK_HOSTNAME:
	case CHECK_ENV_NAME:
	case CHECK_ULIMIT:
	case CHECK_SYSCTL:
	case CHECK_COUNT:
		break;
	}
}

void check_key(struct decode *d, enum text_check check, const struct node *key, const char *what,
	       const char *of)
{
	if (check == CHECK_ULIMIT || check == CHECK_SYSCTL) {
		check_kernel_key(d, check, key, key->text);
		return;
	}
	if (check == CHECK_HOST_PORT) {
		check_host(d, key, key->text, false);
		return;
	}
	if (check == CHECK_IMAGE || check == CHECK_PLATFORM || check == CHECK_GIT_URL) {
		check_text(d, check, key, key->text);
		return;
	}
	const char *rule = name_rule(check, key->text);
	if (rule && !key->is_broken)
		bad_name(d, check, key, arena_printf(d->arena, "%s%s", what, of), rule);
}
