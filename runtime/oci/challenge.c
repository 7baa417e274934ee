/* SPDX-License-Identifier: MIT */
/* Parsing of WWW-Authenticate and the rules for token services. */
#include "runtime/oci/challenge.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "runtime/oci/http.h"
#include "runtime/oci/reference.h"

enum { CHALLENGE_HEADER_MAX = 16 * 1024 };

/* Token services that live on another host than their registry. */
static const struct {
	const char *registry, *realm_host;
} known_realms[] = {
	{ "docker.io", "auth.docker.io" },
	{ "registry.gitlab.com", "gitlab.com" },
};

void challenge_release(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = CHALLENGE_INIT;
}

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static const char *skip_separators(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == ',')
		p++;
	return p;
}

/* A token or a quoted string; *at is moved behind it. NULL if there is none. */
static char *parse_value(const char **at)
{
	const char *p = *at;
	AUTO_BUFFER out = BUFFER_INIT;
	if (*p == '"') {
		for (p++; *p && *p != '"'; p++) {
			if (*p == '\\' && p[1])
				p++;
			buffer_add_char(&out, *p);
		}
		if (*p != '"')
			return NULL;
		p++;
	} else {
		/* Unquoted URLs are seen in the wild. */
		while (is_token_char(*p) || *p == '/' || *p == ':' || *p == '?' || *p == '=')
			buffer_add_char(&out, *p++);
	}
	*at = p;
	return buffer_steal(&out);
}

static void take_parameter(struct challenge *c, const char *name, size_t size, char *value)
{
	const struct {
		const char *name;
		char **slot;
	} known[] = {
		{ "realm", &c->realm },
		{ "service", &c->service },
		{ "scope", &c->scope },
		{ "error", &c->error },
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != size || strncasecmp(known[i].name, name, size) != 0)
			continue;
		free(*known[i].slot);
		*known[i].slot = value;
		return;
	}
	free(value);
}

/* Parameters up to the next scheme or the end; false = malformed, the rest is not looked at. */
static bool parse_parameters(const char **at, struct challenge *c)
{
	for (;;) {
		const char *name = skip_separators(*at);
		const char *p = name;
		while (is_token_char(*p))
			p++;
		size_t size = (size_t)(p - name);
		const char *equals = skip_blanks(p);
		if (size == 0 || *equals != '=') {
			*at = name;
			return *name == '\0' || size > 0;
		}
		p = skip_blanks(equals + 1);
		char *value = parse_value(&p);
		if (!value)
			return false;
		take_parameter(c, name, size, value);
		*at = p;
	}
}

/* Bearer beats Basic, the first of a kind beats later ones. */
static void consider(struct challenge *best, bool *have, struct challenge *c)
{
	bool usable = c->scheme == CHALLENGE_BASIC || (c->realm && *c->realm);
	bool better = !*have || (best->scheme == CHALLENGE_BASIC && c->scheme == CHALLENGE_BEARER);
	if (!usable || !better) {
		challenge_release(c);
		return;
	}
	challenge_release(best);
	*best = *c;
	*c = CHALLENGE_INIT;
	if (!best->realm)
		best->realm = xstrdup("");
	*have = true;
}

static void parse_header(const char *p, struct challenge *best, bool *have)
{
	bool more = true;
	for (p = skip_separators(p); *p && more; p = skip_separators(p)) {
		const char *scheme = p;
		while (is_token_char(*p))
			p++;
		size_t size = (size_t)(p - scheme);
		if (size == 0)
			return;
		struct challenge c = CHALLENGE_INIT;
		bool bearer = size == 6 && strncasecmp(scheme, "Bearer", size) == 0;
		bool basic = size == 5 && strncasecmp(scheme, "Basic", size) == 0;
		c.scheme = bearer ? CHALLENGE_BEARER : CHALLENGE_BASIC;
		more = parse_parameters(&p, &c);
		if (more && (bearer || basic))
			consider(best, have, &c);
		challenge_release(&c);
	}
}

int challenge_choose(const struct strlist *headers, struct challenge *ret, struct error *err)
{
	AUTO_CHALLENGE best = CHALLENGE_INIT;
	bool have = false;
	for (size_t i = 0; i < headers->count; i++)
		if (strlen(headers->items[i]) <= CHALLENGE_HEADER_MAX)
			parse_header(headers->items[i], &best, &have);
	if (!have)
		return error_set(err, E_DENIED, "%s",
				 headers->count ? "asks for a kind of authentication this does not "
						  "know (Basic and Bearer are)"
						: "refuses access and does not say how to log in");
	*ret = best;
	best = CHALLENGE_INIT;
	return 0;
}

/* The host of "host:port" or "[v6]:port", owned. */
static char *without_port(const char *host)
{
	const char *bracket = strchr(host, ']');
	const char *colon = strchr(bracket ? bracket : host, ':');
	return colon ? xstrndup(host, (size_t)(colon - host)) : xstrdup(host);
}

static bool is_known_pair(const char *registry, const char *realm_host)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_realms); i++)
		if (strcasecmp(known_realms[i].registry, registry) == 0 &&
		    strcasecmp(known_realms[i].realm_host, realm_host) == 0)
			return true;
	return false;
}

int realm_check(const char *realm, const char *registry_host, bool registry_plain,
		const char *allowed_host, bool *ret_trusted, struct error *err)
{
	AUTO_URL u = { 0 };
	AUTO_FREE char *shown = text_escaped(realm);
	if (url_split(realm, &u, err) < 0) {
		err->code = E_DENIED;
		return error_wrap(err, "the token service the registry names");
	}
	bool plain = str_equal(u.scheme, "http");
	if (u.user || (!plain && !str_equal(u.scheme, "https")) || (plain && !registry_plain))
		return error_set(err, E_DENIED,
				 "the registry names '%.200s' as its token service: it must be an "
				 "https URL without a user",
				 shown);
	AUTO_FREE char *registry = without_port(registry_host);
	bool same = strcasecmp(registry, u.host) == 0;
	bool both_local = host_is_loopback(registry_host) && host_is_loopback(u.host);
	bool is_local = host_is_loopback(u.host) || host_is_link_local(u.host);
	AUTO_FREE char *with_port = xasprintf("%s:%s", u.host, u.port);
	bool allowed = allowed_host && (strcasecmp(allowed_host, u.host) == 0 ||
					strcasecmp(allowed_host, with_port) == 0);
	if (is_local && !same && !both_local && !allowed)
		return error_set(err, E_DENIED,
				 "the registry names '%.200s' as its token service, which is not a "
				 "host to be asked from here",
				 shown);
	*ret_trusted = same || both_local || allowed || is_known_pair(registry, u.host);
	return 0;
}
