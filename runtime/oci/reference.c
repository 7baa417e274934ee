/* SPDX-License-Identifier: MIT */
/* Parsing of image references, by the grammar of the OCI distribution spec and the defaults of
 * docker.io. */
#include "runtime/oci/reference.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"

static const char docker_host[] = "docker.io";

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool digest_is_valid(const char *digest)
{
	size_t hex_size;
	if (str_starts(digest, "sha256:"))
		hex_size = 64;
	else if (str_starts(digest, "sha512:"))
		hex_size = 128;
	else
		return false;
	const char *hex = digest + 7;
	size_t n = 0;
	while (is_hex(hex[n]))
		n++;
	return n == hex_size && hex[n] == '\0';
}

char *digest_short(const char *digest)
{
	const char *colon = strchr(digest, ':');
	return xstrndup(colon ? colon + 1 : digest, 12);
}

void reference_release(struct reference *r)
{
	free(r->host);
	free(r->repository);
	free(r->tag);
	free(r->digest);
	*r = REFERENCE_INIT;
}

/* The name of a host without its port and brackets, owned. */
static char *host_name(const char *host)
{
	if (host[0] == '[') {
		const char *end = strchr(host, ']');
		return end ? xstrndup(host + 1, (size_t)(end - host - 1)) : xstrdup(host);
	}
	const char *colon = strchr(host, ':');
	if (!colon || strchr(colon + 1, ':'))
		return xstrdup(host);
	return xstrndup(host, (size_t)(colon - host));
}

bool host_is_loopback(const char *host)
{
	AUTO_FREE char *name = host_name(host);
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, name, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return str_equal(name, "localhost") || str_ends(name, ".localhost");
}

bool host_is_link_local(const char *host)
{
	AUTO_FREE char *name = host_name(host);
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 16 == 0xa9fe;
	if (inet_pton(AF_INET6, name, &v6) == 1)
		return IN6_IS_ADDR_LINKLOCAL(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 169 &&
			v6.s6_addr[13] == 254);
	return false;
}

/* path-component: [a-z0-9]+ (("." | "_" | "__" | "-"+) [a-z0-9]+)* */
static bool component_is_valid(const char *s, size_t size)
{
	size_t i = 0;
	for (;;) {
		size_t start = i;
		while (i < size && is_lower_alnum(s[i]))
			i++;
		if (i == start)
			return false;
		if (i == size)
			return true;
		if (s[i] == '-') {
			while (i < size && s[i] == '-')
				i++;
		} else if (s[i] == '_') {
			i += i + 1 < size && s[i + 1] == '_' ? 2 : 1;
		} else if (s[i] == '.') {
			i++;
		} else {
			return false;
		}
	}
}

static bool repository_is_valid(const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "/");
		if (!component_is_valid(s, n))
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

/* tag: [A-Za-z0-9_][A-Za-z0-9._-]{0,127} */
static bool tag_is_valid(const char *s)
{
	size_t n = 0;
	while (is_alnum(s[n]) || s[n] == '_' || (n > 0 && (s[n] == '.' || s[n] == '-')))
		n++;
	return n > 0 && n <= TAG_MAX && s[n] == '\0';
}

static bool port_is_valid(const char *s)
{
	uint64_t port;
	return parse_u64(s, 65535, &port) && port > 0;
}

static bool host_is_valid(const char *host)
{
	if (host[0] == '[') {
		const char *end = strchr(host, ']');
		if (!end)
			return false;
		AUTO_FREE char *address = xstrndup(host + 1, (size_t)(end - host - 1));
		struct in6_addr v6;
		if (inet_pton(AF_INET6, address, &v6) != 1)
			return false;
		return end[1] == '\0' || (end[1] == ':' && port_is_valid(end + 2));
	}
	size_t n = 0, label = 0;
	for (; host[n] && host[n] != ':'; n++) {
		if (host[n] == '.') {
			if (label == 0 || host[n - 1] == '-')
				return false;
			label = 0;
		} else if (is_alnum(host[n]) || (host[n] == '-' && label > 0)) {
			label++;
		} else {
			return false;
		}
	}
	if (n == 0 || n > 253 || label == 0 || host[n - 1] == '-')
		return false;
	return host[n] == '\0' || port_is_valid(host + n + 1);
}

/* Whether the part before the first "/" is a host rather than a folder of docker.io. */
static bool first_is_host(const char *s, size_t size)
{
	if (s[0] == '[' || memchr(s, '.', size) || memchr(s, ':', size))
		return true;
	return size == strlen("localhost") && strncmp(s, "localhost", size) == 0;
}

static int fail(struct error *err, const char *text, const char *why)
{
	AUTO_FREE char *shown = text_escaped(text);
	return error_set(err, E_INVALID, "image reference '%s': %s", shown, why);
}

/* Splits name into host and repository, with the defaults of docker.io. */
static int parse_name(const char *text, const char *name, struct reference *r, struct error *err)
{
	const char *slash = strchr(name, '/');
	const char *path = name;
	if (slash && first_is_host(name, (size_t)(slash - name))) {
		r->host = xstrndup(name, (size_t)(slash - name));
		path = slash + 1;
	} else {
		r->host = xstrdup(docker_host);
	}
	if (!host_is_valid(r->host))
		return fail(err, text, "the registry is not a host name with an optional :port");
	if (str_equal(r->host, "index.docker.io") || str_equal(r->host, "registry-1.docker.io")) {
		free(r->host);
		r->host = xstrdup(docker_host);
	}
	bool in_library = str_equal(r->host, docker_host) && !strchr(path, '/');
	r->repository = in_library ? xasprintf("library/%s", path) : xstrdup(path);
	if (strlen(r->repository) > REPOSITORY_MAX)
		return fail(err, text, "the repository name is longer than 255 bytes");
	if (repository_is_valid(r->repository))
		return 0;
	for (const char *p = path; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			return fail(err, text, "repository names are lower case");
	return fail(
		err, text,
		"a repository name is made of a-z, 0-9 and single separators . _ - between them");
}

static int parse_parts(const char *text, char *name, struct reference *r, struct error *err)
{
	char *at = strchr(name, '@');
	if (at) {
		*at = '\0';
		if (!digest_is_valid(at + 1))
			return fail(
				err, text,
				"after '@' comes sha256: and 64 hex digits (or sha512: and 128)");
		r->digest = xstrdup(at + 1);
	}
	char *last_slash = strrchr(name, '/');
	char *colon = strrchr(name, ':');
	if (colon && (!last_slash || colon > last_slash)) {
		*colon = '\0';
		if (!tag_is_valid(colon + 1))
			return fail(
				err, text,
				"a tag is 1 to 128 letters, digits, '_', '.' and '-', and does not "
				"begin with '.' or '-'");
		r->tag = xstrdup(colon + 1);
	}
	if (!r->tag && !r->digest)
		r->tag = xstrdup("latest");
	return parse_name(text, name, r, err);
}

int reference_parse(const char *text, struct reference *ret, struct error *err)
{
	size_t size = strnlen(text, REFERENCE_MAX + 1);
	if (size == 0)
		return error_set(err, E_INVALID, "the image reference is empty");
	if (size > REFERENCE_MAX)
		return error_set(err, E_INVALID, "the image reference is longer than %d bytes",
				 REFERENCE_MAX);
	if (strstr(text, "://"))
		return fail(err, text, "leave out the scheme: HOST/NAME:TAG");
	AUTO_FREE char *name = xstrdup(text);
	AUTO_REFERENCE r = REFERENCE_INIT;
	int rc = parse_parts(text, name, &r, err);
	if (rc < 0)
		return rc;
	*ret = r;
	r = REFERENCE_INIT;
	return 0;
}

static char *reference_join(const struct reference *r, const char *host, const char *repository)
{
	return xasprintf("%s%s%s%s%s%s%s", host, *host ? "/" : "", repository, r->tag ? ":" : "",
			 r->tag ? r->tag : "", r->digest ? "@" : "", r->digest ? r->digest : "");
}

char *reference_text(const struct reference *r)
{
	return reference_join(r, r->host, r->repository);
}

char *reference_familiar(const struct reference *r)
{
	const char *slash = strchr(r->repository, '/');
	/* A folder of docker.io that looks like a host cannot stand first. */
	bool odd = slash && first_is_host(r->repository, (size_t)(slash - r->repository));
	if (odd || !str_equal(r->host, docker_host))
		return reference_text(r);

	const char *repository = r->repository;
	if (str_starts(repository, "library/") && !strchr(repository + strlen("library/"), '/'))
		repository += strlen("library/");
	return reference_join(r, "", repository);
}
