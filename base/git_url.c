/* SPDX-License-Identifier: MIT */
/* Names of files in git: grammar and canonical form. */
#include "base/git_url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

enum { HOST_MAX = 253, PORT_MAX = 65535 };

static const struct {
	const char *name;
	uint16_t port; /* its own, which is not printed */
} schemes[] = {
	[GIT_HTTPS] = { "https", 443 },
	[GIT_SSH] = { "ssh", 22 },
	[GIT_FILE] = { "file", 0 },
};

void git_url_release(struct git_url *u)
{
	free(u->user);
	free(u->host);
	free(u->repo);
	free(u->ref);
	free(u->path);
	*u = GIT_URL_INIT;
}

void git_url_copy(struct git_url *ret, const struct git_url *u)
{
	*ret = (struct git_url){
		.scheme = u->scheme,
		.user = xstrdup_null(u->user),
		.host = xstrdup_null(u->host),
		.port = u->port,
		.repo = xstrdup_null(u->repo),
		.ref = xstrdup_null(u->ref),
		.path = xstrdup_null(u->path),
	};
}

bool git_url_is(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || (text[n] && strchr("+.-", text[n])))
		n++;
	return str_starts(text, "git+") ||
	       (n > 0 && (str_starts(text + n, "://") || str_starts(text + n, "::")));
}

bool git_is_commit(const char *ref)
{
	return strlen(ref) == GIT_COMMIT_DIGITS &&
	       strspn(ref, "0123456789abcdef") == GIT_COMMIT_DIGITS;
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static bool is_utf8(const char *s)
{
	size_t left = strlen(s), used;
	uint32_t code;

	for (; left; s += used, left -= used) {
		used = utf8_decode(s, left, &code);
		if (!used)
			return false;
	}
	return true;
}

/* Why one name between slashes is refused; NULL if it is not. */
static const char *component_problem(const char *s, size_t size)
{
	if (size == 0)
		return "it has an empty part between slashes";
	if (size <= 2 && strspn(s, ".") >= size)
		return "\".\" and \"..\" are not allowed in it";
	if (size == 4 && strncasecmp(s, ".git", 4) == 0)
		return "it must not lead into .git";
	return s[0] == '-' ? "no part of it may begin with \"-\"" : NULL;
}

const char *git_path_problem(const char *path)
{
	const char *problem = NULL;

	if (has_control(path) || !is_utf8(path))
		return "control characters and bytes that are no text are not allowed in it";
	for (const char *at = path;; at++) {
		size_t size = strcspn(at, "/");

		problem = component_problem(at, size);
		at += size;
		if (problem || !*at)
			return problem;
	}
}

static bool ends_locked(const char *s, size_t size)
{
	return size >= 5 && strncmp(s + size - 5, ".lock", 5) == 0;
}

const char *git_ref_problem(const char *ref)
{
	size_t size = strlen(ref);

	if (size == 0)
		return "it is empty";
	if (size == 64 && strspn(ref, "0123456789abcdef") == size)
		return "repositories with SHA-256 commits cannot be read in this version";
	if (has_control(ref) || !is_utf8(ref) || strpbrk(ref, " ~^:?*[\\") || strstr(ref, "..") ||
	    strstr(ref, "@{") || str_equal(ref, "@") || str_ends(ref, "."))
		return "it is no name of a branch, a tag or a commit";
	for (const char *at = ref;; at++) {
		size_t n = strcspn(at, "/");

		if (n == 0 || at[0] == '.' || ends_locked(at, n))
			return "it is no name of a branch, a tag or a commit";
		if (at[0] == '-')
			return "no part of it may begin with \"-\"";
		at += n;
		if (!*at)
			return NULL;
	}
}

/* --- reading --- */

static int refuse(struct error *err, const char *text, const char *problem)
{
	AUTO_FREE char *shown = text_escaped(text);

	return error_set(err, E_INVALID, "'%.200s': %s", shown, problem);
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* NULL with *problem set if the encoding is broken. An encoded slash would part what was written
 * as one, and an encoded NUL would end it. */
static char *decode(const char *s, size_t size, const char **problem)
{
	AUTO_BUFFER out = BUFFER_INIT;

	for (size_t i = 0; i < size; i++) {
		int high, low;

		if (s[i] != '%') {
			buffer_add_char(&out, s[i]);
			continue;
		}
		high = i + 2 < size ? hex_digit(s[i + 1]) : -1;
		low = high >= 0 ? hex_digit(s[i + 2]) : -1;
		if (low < 0) {
			*problem = "\"%\" must be followed by two hex digits";
			return NULL;
		}
		if (high * 16 + low == '/' || high * 16 + low == 0) {
			*problem = "%2F and %00 are not allowed in it";
			return NULL;
		}
		buffer_add_char(&out, (char)(high * 16 + low));
		i += 2;
	}
	return buffer_steal(&out);
}

static const char *read_scheme(const char *text, struct git_url *u, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		AUTO_FREE char *prefix = xasprintf("git+%s://", schemes[i].name);
		AUTO_FREE char *bare = xasprintf("%s://", schemes[i].name);

		if (str_starts(text, prefix)) {
			u->scheme = (enum git_scheme)i;
			*ret_rest = text + strlen(prefix);
			return NULL;
		}
		if (str_starts(text, bare))
			return "put git+ before it, as git+https://host/team/envs.git#v3:env.yaml";
	}
	if (str_starts(text, "http://") || str_starts(text, "git+http://"))
		return "plain HTTP would let anybody on the way change it; use git+https://";
	if (str_starts(text, "git://") || str_starts(text, "git+git://"))
		return "git:// says not who answers; use git+https:// or git+ssh://";
	return "the scheme must be git+https, git+ssh or git+file";
}

static const char *read_user(const char *s, size_t size, struct git_url *u)
{
	const char *problem = NULL;

	if (memchr(s, ':', size))
		return "a password does not belong into a URL; set a credential helper of git up "
		       "(git help gitcredentials)";
	u->user = decode(s, size, &problem);
	if (problem)
		return problem;
	if (!u->user[0] || u->user[0] == '-' || has_control(u->user) || !is_utf8(u->user) ||
	    strpbrk(u->user, ":@ "))
		return "the user name cannot be one";
	return NULL;
}

static const char *read_port(const char *s, struct git_url *u)
{
	uint64_t port;

	if (!*s)
		return NULL;
	if (s[0] != ':' || !parse_u64(s + 1, PORT_MAX, &port) || port == 0)
		return "the port must be a number from 1 to 65535";
	u->port = port == schemes[u->scheme].port ? 0 : (uint16_t)port;
	return NULL;
}

static const char *read_host(const char *s, struct git_url *u)
{
	bool is_v6 = s[0] == '[';
	size_t size = is_v6 ? strcspn(s, "]") : strcspn(s, ":");
	const char *allowed =
		is_v6 ? "0123456789abcdef:." : "0123456789abcdefghijklmnopqrstuvwxyz.-_";

	if (is_v6 && s[size] != ']')
		return "the address lacks its \"]\"";
	size += is_v6 ? 1 : 0;
	if (size == 0)
		return "it names no host";
	u->host = xstrndup(s, size);
	for (char *c = u->host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (size > HOST_MAX || u->host[0] == '-' || u->host[0] == '.' ||
	    strspn(u->host + (is_v6 ? 1 : 0), allowed) != size - (is_v6 ? 2 : 0))
		return "the host cannot be one";
	return read_port(s + size, u);
}

/* "user@host:port" */
static const char *read_authority(const char *s, size_t size, struct git_url *u)
{
	AUTO_FREE char *authority = xstrndup(s, size);
	char *at = strrchr(authority, '@');
	const char *problem = at ? read_user(authority, (size_t)(at - authority), u) : NULL;

	if (problem)
		return problem;
	if (u->scheme == GIT_FILE)
		return size ? "it names a host; write git+file:///path/of/the/repository" : NULL;
	return read_host(at ? at + 1 : authority, u);
}

static const char *read_repo(const char *s, size_t size, struct git_url *u)
{
	const char *problem = NULL;
	size_t length;

	if (memchr(s, '?', size))
		return "nothing may follow \"?\"; branch and file go behind \"#\"";
	u->repo = decode(s, size, &problem);
	if (problem)
		return problem;
	length = strlen(u->repo);
	if (length > 1 && u->repo[length - 1] == '/')
		u->repo[length - 1] = '\0';
	if (u->repo[0] != '/' || !u->repo[1])
		return "it names no repository";
	return git_path_problem(u->repo + 1);
}

/* "ref", "ref:path" or ":path" */
static const char *read_fragment(const char *s, struct git_url *u)
{
	size_t size = strcspn(s, ":");
	const char *problem = NULL;

	if (size) {
		u->ref = decode(s, size, &problem);
		if (!problem)
			problem = git_ref_problem(u->ref);
	}
	if (problem || !s[size])
		return problem;
	u->path = decode(s + size + 1, strlen(s + size + 1), &problem);
	return problem ? problem : git_path_problem(u->path);
}

static const char *read_url(const char *text, struct git_url *u)
{
	const char *rest = NULL, *fragment, *path;
	const char *problem = read_scheme(text, u, &rest);

	if (problem)
		return problem;
	if (has_control(text) || strpbrk(text, " \\"))
		return "spaces, backslashes and control characters must be written as %20 and so "
		       "on";
	fragment = strchr(rest, '#');
	path = rest + strcspn(rest, "/?#");
	problem = read_authority(rest, (size_t)(path - rest), u);
	if (!problem)
		problem = read_repo(path, fragment ? (size_t)(fragment - path) : strlen(path), u);
	if (!problem && fragment && fragment[1])
		problem = read_fragment(fragment + 1, u);
	if (!problem && u->ref && str_equal(u->ref, "HEAD"))
		free(TAKE_PTR(u->ref));
	return problem;
}

int git_url_parse(const char *text, struct git_url *ret, struct error *err)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	const char *problem = NULL;

	if (strnlen(text, GIT_URL_MAX + 1) > GIT_URL_MAX)
		problem = "it is longer than 4096 bytes";
	else
		problem = read_url(text, &u);
	if (problem)
		return refuse(err, text, problem);
	*ret = u;
	u = GIT_URL_INIT;
	return 0;
}

/* --- printing --- */

static void encode(struct buffer *out, const char *s, const char *also)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~/+@,=", c) || strchr(also, c))
			buffer_add_char(out, *s);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

static void add_authority(const struct git_url *u, struct buffer *out)
{
	buffer_printf(out, "%s://", schemes[u->scheme].name);
	if (u->user) {
		/* '/', '@' and '=' would mean something else here. */
		for (const char *c = u->user; *c; c++)
			if (isalnum((unsigned char)*c) || strchr("-._~", *c))
				buffer_add_char(out, *c);
			else
				buffer_printf(out, "%%%02X", (unsigned char)*c);
		buffer_add_char(out, '@');
	}
	if (u->host)
		buffer_add_str(out, u->host);
	if (u->port)
		buffer_printf(out, ":%u", u->port);
}

static void add_repo(const struct git_url *u, struct buffer *out)
{
	buffer_add_str(out, "git+");
	add_authority(u, out);
	encode(out, u->repo, "");
}

char *git_url_repo(const struct git_url *u)
{
	AUTO_BUFFER out = BUFFER_INIT;

	add_repo(u, &out);
	return buffer_steal(&out);
}

char *git_url_text(const struct git_url *u)
{
	AUTO_BUFFER out = BUFFER_INIT;

	add_repo(u, &out);
	if (u->ref || u->path)
		buffer_add_char(&out, '#');
	if (u->ref)
		encode(&out, u->ref, "");
	if (u->path) {
		buffer_add_char(&out, ':');
		encode(&out, u->path, ":");
	}
	return buffer_steal(&out);
}

char *git_url_transport(const struct git_url *u)
{
	AUTO_BUFFER out = BUFFER_INIT;

	if (u->scheme == GIT_FILE)
		return xstrdup(u->repo);
	add_authority(u, &out);
	encode(&out, u->repo, "");
	return buffer_steal(&out);
}

const char *git_url_prefix_problem(const char *prefix)
{
	const char *host = strstr(prefix, "://");

	if (!str_starts(prefix, "git+https://") && !str_starts(prefix, "git+ssh://") &&
	    !str_starts(prefix, "git+file:///"))
		return "it begins with git+https://, git+ssh:// or git+file:///";
	if (!str_starts(prefix, "git+file:") && (!host[3] || host[3] == '/'))
		return "it names a host";
	if (strpbrk(prefix, "#?%") || strstr(prefix, "/../") || str_ends(prefix, "/.."))
		return "it has no ref, no %XX and no \"..\"";
	return NULL;
}

bool git_url_has_prefix(const char *repo, const char *prefix)
{
	size_t size = strlen(prefix);

	while (size && prefix[size - 1] == '/')
		size--;
	return size && strncmp(repo, prefix, size) == 0 && (!repo[size] || repo[size] == '/') &&
	       !git_url_prefix_problem(prefix);
}
