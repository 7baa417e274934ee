/* SPDX-License-Identifier: MIT */
/* Who we are to a git server over HTTPS: the helpers that the user's git is set up with. */
#ifndef CTRZ_RUNTIME_SOURCE_CREDENTIAL_H
#define CTRZ_RUNTIME_SOURCE_CREDENTIAL_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_url.h"
#include "base/text.h"

/* Never printed. */
struct git_login {
	char *user, *secret; /* owned; NULL = none found */
};

#define AUTO_GIT_LOGIN CLEANUP(git_login_release) struct git_login
void git_login_release(struct git_login *l);

/** credential_helpers_read() - the values of credential.helper and credential.<url>.helper in the
 * user's git configuration that hold for @u, in order; libgit2 must be loaded */
int credential_helpers_read(const struct git_url *u, struct strlist *ret,
			    struct error *err) MUST_CHECK;

/**
 * credential_helper_argv() - the words to run a helper by, without a shell; pure
 * @helper: "store", "cache --timeout 60", "/path/to/program", "!gh auth git-credential"
 *
 * Return: 0, or -E_INVALID if only a shell could run it
 */
int credential_helper_argv(const char *helper, struct strlist *ret, struct error *err) MUST_CHECK;

/** credential_answer_read() - what a helper answered: key=value lines; pure. False if it gives no
 * user and password */
bool credential_answer_read(const char *text, struct git_login *ret);

/** credential_find() - ask the helpers, in order, until one knows. Return: 0 (nothing found leaves
 * *ret empty), or -code */
int credential_find(const struct strlist *helpers, const struct git_url *u, struct git_login *ret,
		    struct error *err) MUST_CHECK;

#endif
