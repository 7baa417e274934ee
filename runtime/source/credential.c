/* SPDX-License-Identifier: MIT */
/* git's credential helpers, run by their words with git's protocol (git-credential(1)). */
#include "runtime/source/credential.h"

#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/process.h"
#include "runtime/source/library.h"

enum { HELPER_MS = 120 * 1000, ANSWER_MAX = 64 * 1024, WORDS_MAX = 32 };

void git_login_release(struct git_login *l)
{
	if (l->secret)
		explicit_bzero(l->secret, strlen(l->secret));
	free(l->user);
	free(l->secret);
	*l = (struct git_login){ 0 };
}

/* Whether credential.<url>.helper holds for a repository: scheme and host the same, the path a
 * beginning of it. */
static bool fits(const char *pattern, size_t size, const struct git_url *u)
{
	AUTO_FREE char *text = xasprintf("git+%.*s", (int)size, pattern);
	AUTO_FREE char *with_path = xasprintf("%s/-", text);
	AUTO_GIT_URL p = GIT_URL_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	size_t length;

	/* The pattern may have no path, which a name of ours must have. */
	with_path[strlen(with_path) - 1] = 'x';
	if (git_url_parse(with_path, &p, &ignored) < 0)
		return false;
	length = strlen(p.repo) - 2;
	if (p.scheme != u->scheme || !str_equal(p.host, u->host) || p.port != u->port ||
	    (p.user && !str_equal(p.user, u->user)))
		return false;
	while (length > 0 && p.repo[length - 1] == '/')
		length--;
	return strncmp(p.repo, u->repo, length) == 0 &&
	       (u->repo[length] == '/' || u->repo[length] == '\0');
}

/* An empty value forgets the helpers before it, as with git. */
static void add_helper(struct strlist *helpers, const char *value)
{
	if (*value)
		strlist_add(helpers, value);
	else
		strlist_release(helpers);
}

static void read_entry(const git_config_entry *e, const struct git_url *u, struct strlist *ret)
{
	static const char before[] = "credential.", after[] = ".helper";
	size_t size = strlen(e->name);
	bool is_general = strcmp(e->name, "credential.helper") == 0;

	if (is_general || (size > sizeof(before) + sizeof(after) &&
			   fits(e->name + sizeof(before) - 1,
				size - (sizeof(before) - 1) - (sizeof(after) - 1), u)))
		add_helper(ret, e->value ? e->value : "");
}

int credential_helpers_read(const struct git_url *u, struct strlist *ret, struct error *err)
{
	git_config *config = NULL;
	git_config_iterator *walk = NULL;
	git_config_entry *entry;
	int r;

	git_library_unseal();
	r = git_config_open_default(&config);
	if (r == 0)
		r = git_config_iterator_glob_new(&walk, config, "^credential\\..*helper$");
	if (r < 0)
		r = git_failed(err, r, "read the configuration of git");
	while (r == 0 && git_config_next(&entry, walk) == 0)
		read_entry(entry, u, ret);
	git_config_iterator_free(walk);
	git_config_free(config);
	git_library_seal();
	return r;
}

int credential_helper_argv(const char *helper, struct strlist *ret, struct error *err)
{
	bool is_command = helper[0] == '!';
	const char *at = helper + (is_command ? 1 : 0);

	if (strpbrk(helper, "\"'`$;&|<>(){}*?\\\n"))
		return error_set(
			err, E_INVALID,
			"the credential helper '%s' needs a shell, which is not given one: "
			"make a program git-credential-NAME of it",
			helper);
	/* A name is a command of git's, as in git-credential-store(1). */
	if (!is_command && helper[0] != '/')
		strlist_add(ret, "git");
	while (*(at += strspn(at, " \t"))) {
		size_t size = strcspn(at, " \t");
		bool is_name = !is_command && helper[0] != '/' && ret->count == 1;

		if (ret->count >= WORDS_MAX || (is_name && at[0] == '-'))
			return error_set(err, E_INVALID, "'%s' is no credential helper", helper);
		strlist_printf(ret, "%s%.*s", is_name ? "credential-" : "", (int)size, at);
		at += size;
	}
	if (ret->count < (size_t)(is_command || helper[0] == '/' ? 1 : 2))
		return error_set(err, E_INVALID, "'%s' is no credential helper", helper);
	strlist_add(ret, "get");
	return 0;
}

bool credential_answer_read(const char *text, struct git_login *ret)
{
	for (const char *at = text; *at;) {
		size_t size = strcspn(at, "\n");

		if (strncmp(at, "username=", 9) == 0 && size > 9) {
			free(ret->user);
			ret->user = xstrndup(at + 9, size - 9);
		} else if (strncmp(at, "password=", 9) == 0 && size > 9) {
			free(ret->secret);
			ret->secret = xstrndup(at + 9, size - 9);
		}
		at += size + (at[size] == '\n');
	}
	return ret->user && ret->secret;
}

static void write_question(const struct git_url *u, struct buffer *out)
{
	buffer_printf(out, "protocol=https\nhost=%s", u->host);
	if (u->port)
		buffer_printf(out, ":%u", u->port);
	/* git leaves the path out too, unless it is told otherwise. */
	buffer_add_char(out, '\n');
	if (u->user)
		buffer_printf(out, "username=%s\n", u->user);
	buffer_add_char(out, '\n');
}

static int ask(const char *helper, const struct git_url *u, struct git_login *ret,
	       struct error *err)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	AUTO_BUFFER question = BUFFER_INIT;
	AUTO_BUFFER answer = BUFFER_INIT;
	int status = 0, r = credential_helper_argv(helper, &argv, err);

	if (r < 0)
		return r;
	write_question(u, &question);
	/* Helpers talk to agents and keyrings named in the environment. */
	r = process_ask((const char *const *)argv.items, &question, ANSWER_MAX, HELPER_MS, &answer,
			&status, err);
	if (r < 0)
		(void)error_wrap(err, "the credential helper '%s' of your git configuration",
				 helper);
	else if (status != 0 || !credential_answer_read(buffer_str(&answer), ret))
		git_login_release(ret);
	if (answer.data)
		explicit_bzero(answer.data, answer.size);
	return r;
}

int credential_find(const struct strlist *helpers, const struct git_url *u, struct git_login *ret,
		    struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && !ret->secret && i < helpers->count; i++)
		r = ask(helpers->items[i], u, ret, err);
	return r;
}
