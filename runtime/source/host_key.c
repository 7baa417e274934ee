/* SPDX-License-Identifier: MIT */
/* Keys of ssh servers, looked up by ssh-keygen: known_hosts may hold hashes instead of names. */
#include "runtime/source/fetch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/oci/credentials.h"

enum { ANSWER_MAX = 1 << 20 };

/* As ssh(1) files it. */
static char *filed_name(const struct git_url *u)
{
	bool is_v6 = u->host[0] == '[';
	AUTO_FREE char *bare =
		is_v6 ? xstrndup(u->host + 1, strlen(u->host) - 2) : xstrdup(u->host);

	return u->port ? xasprintf("[%s]:%u", bare, u->port) : TAKE_PTR(bare);
}

/* Lines "hosts type key", some with a marker before, which are no plain keys. */
static bool has_key(const char *lines, const char *key)
{
	for (const char *at = lines; *at;) {
		size_t size = strcspn(at, "\n");
		AUTO_FREE char *line = xstrndup(at, size);
		char *rest = NULL, *hosts = strtok_r(line, " \t", &rest);
		char *type = hosts ? strtok_r(NULL, " \t", &rest) : NULL;
		char *found = type ? strtok_r(NULL, " \t", &rest) : NULL;

		if (found && hosts[0] != '#' && hosts[0] != '@' && strcmp(found, key) == 0)
			return true;
		at += size + (at[size] == '\n');
	}
	return false;
}

static bool file_has_key(const char *path, const char *name, const char *key, bool *ret_has_other)
{
	const char *const argv[] = { "ssh-keygen", "-F", name, "-f", path, NULL };
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (!file_exists(path))
		return false;
	/* It ends with 1 if it finds nothing. */
	if (process_run(argv, &out, ANSWER_MAX, &err) < 0) {
		error_ignore(&err, "look a server's key up");
		return false;
	}
	*ret_has_other = *ret_has_other || out.size > 0;
	return has_key(buffer_str(&out), key);
}

int host_key_known(const struct git_url *u, const void *key, size_t size, struct error *err)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *own = path_join(home && *home ? home : "/nonexistent", ".ssh/known_hosts");
	AUTO_FREE char *name = filed_name(u);
	AUTO_FREE char *text = base64_encode(key, size);
	bool has_other = false;

	if (file_has_key(own, name, text, &has_other) ||
	    file_has_key("/etc/ssh/ssh_known_hosts", name, text, &has_other))
		return 0;
	if (has_other)
		return error_set(
			err, E_DENIED,
			"the key that %s shows is not the one in known_hosts: somebody may "
			"be in between, or the server has a new key",
			name);
	return error_set(err, E_DENIED,
			 "the key of %s is not in known_hosts; connect to it once with ssh, and "
			 "compare what it shows",
			 name);
}
