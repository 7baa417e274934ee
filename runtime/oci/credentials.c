/* SPDX-License-Identifier: MIT */
/* Credentials from files and helpers. */
#include "runtime/oci/credentials.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/process.h"

enum {
	AUTH_FILE_MAX = 1024 * 1024,
	HELPER_ANSWER_MAX = 64 * 1024,
	HELPER_NAME_MAX = 64,
};

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* docker.io is filed under this name by docker and its helpers. */
static const char docker_key[] = "https://index.docker.io/v1/";

void credentials_release(struct credentials *c)
{
	if (c->secret)
		explicit_bzero(c->secret, strlen(c->secret));
	if (c->identity_token)
		explicit_bzero(c->identity_token, strlen(c->identity_token));
	free(c->user);
	free(c->secret);
	free(c->identity_token);
	free(c->source);
	*c = CREDENTIALS_INIT;
}

char *base64_encode(const void *data, size_t size)
{
	const uint8_t *p = data;
	char *out = xmalloc((size + 2) / 3 * 4 + 1), *o = out;
	for (size_t i = 0; i < size; i += 3) {
		size_t n = size - i < 3 ? size - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16;
		bits |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= n > 2 ? p[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			*o++ = k <= n ? base64_alphabet[bits >> (18 - 6 * k) & 63] : '=';
	}
	*o = '\0';
	return out;
}

char *base64_decode(const char *text, size_t *ret_size)
{
	size_t size = strlen(text);
	while (size > 0 && text[size - 1] == '=')
		size--;
	if (size % 4 == 1)
		return NULL;
	char *out = xmalloc(size / 4 * 3 + 4), *o = out;
	uint32_t bits = 0;
	for (size_t i = 0; i < size; i++) {
		const char *at = strchr(base64_alphabet, text[i]);
		if (!at || !*at) {
			free(out);
			return NULL;
		}
		bits = bits << 6 | (uint32_t)(at - base64_alphabet);
		if (i % 4 != 0)
			*o++ = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
	}
	*o = '\0';
	*ret_size = (size_t)(o - out);
	return out;
}

/* "user:password" in base64. */
static bool split_auth(const char *auth, struct credentials *c)
{
	size_t size;
	AUTO_FREE char *pair = base64_decode(auth, &size);
	char *colon = pair ? strchr(pair, ':') : NULL;
	if (!colon || strlen(pair) != size)
		return false;
	c->user = xstrndup(pair, (size_t)(colon - pair));
	c->secret = xstrdup(colon + 1);
	explicit_bzero(pair, size);
	return true;
}

/* The keys under which a file may hold a registry, best first. */
static void list_keys(const char *host, const char *repository, struct strlist *keys)
{
	AUTO_FREE char *path = xasprintf("%s/%s", host, repository);
	for (char *slash; (slash = strrchr(path, '/')); *slash = '\0')
		strlist_add(keys, path);
	strlist_add(keys, host);
	if (str_equal(host, "docker.io")) {
		strlist_add(keys, docker_key);
		strlist_add(keys, "index.docker.io");
		strlist_add(keys, "registry-1.docker.io");
	}
	strlist_printf(keys, "https://%s", host);
	strlist_printf(keys, "https://%s/", host);
	strlist_printf(keys, "https://%s/v1/", host);
	strlist_printf(keys, "https://%s/v2/", host);
	strlist_printf(keys, "http://%s", host);
}

static int from_auths(const struct json *file, const struct strlist *keys, const char *path,
		      struct credentials *ret, struct error *err)
{
	const struct json *auths = json_member_object(file, "auths");
	for (size_t i = 0; auths && i < keys->count; i++) {
		const struct json *entry = json_member_object(auths, keys->items[i]);
		if (!entry || json_count(entry) == 0)
			continue;
		const char *auth = json_str(entry, "auth", "");
		const char *token = json_str(entry, "identitytoken", "");
		const char *user = json_str(entry, "username", "");
		if (!*auth && !*token && !*user)
			continue;
		if (*auth && !split_auth(auth, ret))
			return error_set(err, E_INVALID,
					 "'%s': \"auth\" of '%s' is not base64 of user:password",
					 path, keys->items[i]);
		if (!ret->user && *user) {
			ret->user = xstrdup(user);
			ret->secret = xstrdup(json_str(entry, "password", ""));
		}
		if (*token)
			ret->identity_token = xstrdup(token);
		ret->source = xasprintf("'%s'", path);
		return 0;
	}
	return 0;
}

/* A helper of docker's kind, as a file names it. */
struct helper {
	const char *name; /* lent */
	const char *file; /* lent: that names it */
	const char *key;  /* lent: the registry, as helpers file it */
	int timeout_ms;
};

/* Runs "docker-credential-NAME get" with the key on its stdin. *ret_status is its exit code. */
static int run_helper(const struct helper *h, struct buffer *out, int *ret_status,
		      struct error *err)
{
	AUTO_FREE char *program = xasprintf("docker-credential-%s", h->name);
	AUTO_BUFFER key = BUFFER_INIT;
	const char *const argv[] = { program, "get", NULL };

	buffer_add(&key, h->key, strlen(h->key));
	/* Helpers talk to agents and clouds named in the environment. */
	return process_ask(argv, &key, HELPER_ANSWER_MAX, h->timeout_ms, out, ret_status, err);
}

/* What to do about a helper that does not work. */
static int helper_failed(const struct helper *h, struct error *err)
{
	AUTO_FREE char *key = text_escaped(h->key);
	return error_wrap(err,
			  "the credential helper '%s' that '%s' names gives nothing (try it: echo "
			  "%s | docker-credential-%s get)",
			  h->name, h->file, key, h->name);
}

static int read_answer(const struct helper *h, const struct buffer *out, struct credentials *ret,
		       struct error *err)
{
	AUTO_JSON v = NULL;
	int rc = json_parse(buffer_str(out), out->size, HELPER_ANSWER_MAX, "its answer", &v, err);
	if (rc < 0)
		return rc;
	const char *user = json_str(v, "Username", ""), *secret = json_str(v, "Secret", "");
	if (!*secret)
		return 0;
	if (str_equal(user, "<token>")) {
		ret->identity_token = xstrdup(secret);
	} else {
		ret->user = xstrdup(user);
		ret->secret = xstrdup(secret);
	}
	ret->source = xasprintf("docker-credential-%s", h->name);
	return 0;
}

static int from_helper(const struct helper *h, struct credentials *ret, struct error *err)
{
	size_t n = 0;
	while (isalnum((unsigned char)h->name[n]) || (h->name[n] && strchr("._-", h->name[n])))
		n++;
	if (n == 0 || n > HELPER_NAME_MAX || h->name[n])
		return error_set(err, E_INVALID,
				 "'%s' names a credential helper that cannot be one: a name is "
				 "letters, digits and . _ -",
				 h->file);
	AUTO_BUFFER out = BUFFER_INIT;
	int status = 0;
	int rc = run_helper(h, &out, &status, err);
	if (rc < 0)
		return helper_failed(h, err);
	if (status != 0) {
		if (strstr(buffer_str(&out), "not found"))
			return 0;
		AUTO_FREE char *said = text_escaped(buffer_str(&out));
		(void)error_set(err, E_UNAVAILABLE, "exit status %d: %.200s", status, said);
		return helper_failed(h, err);
	}
	rc = read_answer(h, &out, ret, err);
	if (out.data)
		explicit_bzero(out.data, out.size);
	return rc < 0 ? helper_failed(h, err) : 0;
}

/* What is looked for in the files. */
struct wanted {
	const char *host; /* lent */
	struct strlist keys;
	int helper_ms;
};

static int from_file(const char *path, const struct wanted *w, struct credentials *ret,
		     struct error *err)
{
	struct helper h = {
		.file = path,
		.key = str_equal(w->host, "docker.io") ? docker_key : w->host,
		.timeout_ms = w->helper_ms,
	};
	if (!file_exists(path))
		return 0;
	AUTO_JSON v = NULL;
	int rc = json_read_file(path, AUTH_FILE_MAX, &v, err);
	if (rc < 0)
		return rc;
	const struct json *helpers = json_member_object(v, "credHelpers");
	for (size_t i = 0; helpers && i < w->keys.count; i++) {
		h.name = json_str(helpers, w->keys.items[i], "");
		if (*h.name)
			return from_helper(&h, ret, err);
	}
	rc = from_auths(v, &w->keys, path, ret, err);
	h.name = json_str(v, "credsStore", "");
	if (rc == 0 && !ret->source && *h.name)
		rc = from_helper(&h, ret, err);
	return rc;
}

static void list_files(const struct host_paths *paths, struct strlist *files)
{
	strlist_take(files, path_join(paths->config, "auth.json"));
	const char *explicit = getenv("REGISTRY_AUTH_FILE");
	if (explicit && *explicit)
		strlist_add(files, explicit);
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (run && *run == '/')
		strlist_printf(files, "%s/containers/auth.json", run);
	else
		strlist_printf(files, "/run/containers/%u/auth.json", (unsigned)geteuid());
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	if (config && *config == '/')
		strlist_printf(files, "%s/containers/auth.json", config);
	else if (home && *home == '/')
		strlist_printf(files, "%s/.config/containers/auth.json", home);
	const char *docker = getenv("DOCKER_CONFIG");
	if (docker && *docker)
		strlist_printf(files, "%s/config.json", docker);
	else if (home && *home == '/')
		strlist_printf(files, "%s/.docker/config.json", home);
}

int credentials_find(const struct host_paths *paths, const char *host, const char *repository,
		     int helper_ms, struct credentials *ret, struct error *err)
{
	AUTO_STRLIST files = STRLIST_INIT;
	struct wanted w = { .host = host, .helper_ms = helper_ms };
	list_files(paths, &files);
	list_keys(host, repository, &w.keys);
	AUTO_CREDENTIALS found = CREDENTIALS_INIT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < files.count && !found.source; i++)
		rc = from_file(files.items[i], &w, &found, err);
	strlist_release(&w.keys);
	if (rc < 0)
		return rc;
	*ret = found;
	found = CREDENTIALS_INIT;
	return 0;
}

static int read_own(const char *path, struct json **ret, struct error *err)
{
	if (file_exists(path))
		return json_read_file(path, AUTH_FILE_MAX, ret, err);
	*ret = json_new_object();
	return 0;
}

static int write_own(const struct host_paths *paths, const char *path, const struct json *v,
		     struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	json_print(v, 2, false, &text);
	buffer_add_char(&text, '\n');
	int rc = dir_make(paths->config, 0700, err);
	if (rc == 0)
		rc = file_write_atomic(path, text.data, text.size, 0600, err);
	explicit_bzero(text.data, text.size);
	return rc;
}

/* Our file's content without @host; *ret_had says whether it was there. */
static int read_without(const char *path, const char *host, struct json **ret,
			struct json **ret_auths, bool *ret_had, struct error *err)
{
	AUTO_JSON old = NULL;
	int rc = read_own(path, &old, err);
	if (rc < 0)
		return rc;
	struct json *v = json_new_object(), *auths = json_new_object();
	struct json *there = json_member_object(old, "auths");
	*ret_had = false;
	for (void *i = there ? json_iter(there) : NULL; i; i = json_iter_next(there, i)) {
		if (str_equal(json_iter_key(i), host))
			*ret_had = true;
		else
			json_set(auths, json_iter_key(i), json_ref(json_iter_value(i)));
	}
	json_set(v, "auths", auths);
	*ret = v;
	*ret_auths = auths;
	return 0;
}

int credentials_store(const struct host_paths *paths, const char *host, const char *user,
		      const char *secret, struct error *err)
{
	AUTO_FREE char *path = path_join(paths->config, "auth.json");
	AUTO_JSON v = NULL;
	struct json *auths = NULL;
	bool had;
	if (strchr(user, ':'))
		return error_set(err, E_INVALID, "a user name with ':' in it cannot be sent");
	int rc = read_without(path, host, &v, &auths, &had, err);
	if (rc < 0)
		return rc;
	AUTO_FREE char *pair = xasprintf("%s:%s", user, secret);
	AUTO_FREE char *auth = base64_encode(pair, strlen(pair));
	struct json *entry = json_new_object();
	json_set_string(entry, "auth", auth);
	json_set(auths, host, entry);
	rc = write_own(paths, path, v, err);
	explicit_bzero(pair, strlen(pair));
	explicit_bzero(auth, strlen(auth));
	return rc;
}

int credentials_erase(const struct host_paths *paths, const char *host, struct error *err)
{
	AUTO_FREE char *path = path_join(paths->config, "auth.json");
	AUTO_JSON v = NULL;
	struct json *auths = NULL;
	bool had;
	int rc = read_without(path, host, &v, &auths, &had, err);
	if (rc < 0)
		return rc;
	if (!had)
		return error_set(err, E_NOT_FOUND, "not logged in to %s", host);
	return write_own(paths, path, v, err);
}
