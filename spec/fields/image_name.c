/* SPDX-License-Identifier: MIT */
/* The form of an image reference. */
#include "spec/fields/image_name.h"

#include <string.h>

#include "base/text.h"
#include "spec/fields/decode.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { NAME_MAX_BYTES = 255, TAG_MAX = 128 };

const char *image_digest_problem(const char *s)
{
	size_t want = 0;
	if (str_starts(s, "sha256:"))
		want = 64;
	else if (str_starts(s, "sha512:"))
		want = 128;
	else
		return "a digest is sha256: or sha512: and hexadecimal digits";
	const char *hex = s + 7;
	if (hex[strspn(hex, DIGITS "abcdef")])
		return "a digest has lower-case hexadecimal digits only";
	if (strlen(hex) != want)
		return want == 64 ? "a sha256 digest has 64 digits"
				  : "a sha512 digest has 128 digits";
	return NULL;
}

/* The first part is a host if it has a dot, a port, or is localhost. */
static size_t host_length(const char *s, size_t end)
{
	const char *slash = memchr(s, '/', end);
	if (!slash)
		return 0;
	size_t n = (size_t)(slash - s);
	if (memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && memcmp(s, "localhost", 9) == 0))
		return n;
	return 0;
}

static const char *host_problem(const char *s, size_t n)
{
	size_t name = 0;
	while (name < n && s[name] != ':')
		name++;
	if (!name || strspn(s, LOWER UPPER DIGITS ".-") < name)
		return "the host of the registry has a character it cannot have";
	if (name < n && (name + 1 == n || strspn(s + name + 1, DIGITS) < n - name - 1))
		return "the port of the registry is not a number";
	return NULL;
}

static const char *path_problem(const char *s, size_t n, size_t *ret_at)
{
	for (size_t i = 0; i < n; i++) {
		*ret_at = i;
		if (s[i] >= 'A' && s[i] <= 'Z')
			return "the name of an image has lower-case letters only";
		if (!strchr(LOWER DIGITS "._-/", s[i]))
			return "the name of an image has a character it cannot have";
		bool is_first = i == 0 || s[i - 1] == '/', is_last = i + 1 == n || s[i + 1] == '/';
		if ((is_first || is_last) && !strchr(LOWER DIGITS, s[i]))
			return "each part of the name begins and ends with a letter or digit";
	}
	return NULL;
}

const char *image_name_parse(const char *text, struct image_name *ret, const char **ret_code,
			     size_t *ret_at)
{
	*ret = (struct image_name){ 0 };
	*ret_code = "E301";
	*ret_at = 0;
	if (strstr(text, "://"))
		return "an image has no scheme";
	if (!*text)
		return "the name of the image is empty";
	size_t end = strlen(text);
	const char *at = strchr(text, '@');
	if (at) {
		*ret_code = "E303";
		ret->digest = *ret_at = (size_t)(at - text) + 1;
		const char *problem = image_digest_problem(at + 1);
		if (problem)
			return problem;
		*ret_code = "E301";
		end = (size_t)(at - text);
	}
	ret->host = host_length(text, end);
	*ret_at = 0;
	const char *problem = ret->host ? host_problem(text, ret->host) : NULL;
	if (problem)
		return problem;
	size_t path = ret->host ? ret->host + 1 : 0, path_end = path;
	while (path_end < end && text[path_end] != ':')
		path_end++;
	if (path_end < end) {
		ret->tag = *ret_at = path_end + 1;
		size_t n = end - ret->tag;
		if (!n || n > TAG_MAX || strspn(text + ret->tag, LOWER UPPER DIGITS "._-") < n ||
		    !strchr(LOWER UPPER DIGITS "_", text[ret->tag]))
			return "a tag is letters, digits, dot, _ and -, at most 128";
	}
	*ret_at = path;
	if (path_end == path)
		return "the name of the image is empty";
	if (path_end > NAME_MAX_BYTES)
		return "the name of the image is longer than 255 characters";
	size_t inside = 0;
	problem = path_problem(text + path, path_end - path, &inside);
	*ret_at = path + inside;
	return problem;
}

void check_image(struct decode *d, const struct node *n, const char *text)
{
	struct image_name name;
	const char *code;
	size_t at;
	const char *problem = image_name_parse(text, &name, &code, &at);
	if (!problem)
		return;
	struct diagnostic *e =
		report(d->diags, code, n->pos, n->width, "\"%s\": %s", shown(d, text), problem);
	if (str_starts(text, "docker://") || strstr(text, "://"))
		report_hint(e, "without the scheme: %s", shown(d, strstr(text, "://") + 3));
	else
		report_help(e, "an image is [host[:port]/]name[:tag][@digest], as "
			       "docker.io/library/nginx:1.27");
}
