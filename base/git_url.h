/* SPDX-License-Identifier: MIT */
/* Names of files in git: git+https://host/team/envs.git#ref:path. Pure text; strict, because such a
 * name may come from somebody else's file. */
#ifndef CTRZ_BASE_GIT_URL_H
#define CTRZ_BASE_GIT_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

enum { GIT_URL_MAX = 4096, GIT_COMMIT_DIGITS = 40 };

enum git_scheme { GIT_HTTPS, GIT_SSH, GIT_FILE };

struct git_url {
	enum git_scheme scheme;
	char *user;    /* owned; NULL = none given */
	char *host;    /* owned, lower case, an IPv6 address in brackets; NULL for GIT_FILE */
	uint16_t port; /* 0 = the scheme's own */
	char *repo;    /* owned, decoded: absolute path of the repository */
	char *ref;     /* owned, decoded; NULL = what HEAD of the repository points to */
	char *path;    /* owned, decoded: the file in the repository; NULL = the usual names */
};

#define GIT_URL_INIT ((struct git_url){ 0 })
#define AUTO_GIT_URL CLEANUP(git_url_release) struct git_url

void git_url_release(struct git_url *u);

/** git_url_is() - whether somebody means a URL (also one that is refused) and no path */
bool git_url_is(const char *text);

/**
 * git_url_parse() - read "git+https://[user@]host[:port]/repo.git[#ref[:path]]", git+ssh:// or
 * git+file:///repo
 *
 * Percent-encoding is decoded; ref and path part at the first ':', which no ref has. Return: 0, or
 * -E_INVALID with what is wrong: other schemes, a password, "..", ".git" or a leading "-" in any
 * part, control characters, more than GIT_URL_MAX bytes
 */
int git_url_parse(const char *text, struct git_url *ret, struct error *err) MUST_CHECK;

/** git_url_text() - the whole in its canonical form, which parses to the same; owned */
char *git_url_text(const struct git_url *u);
/** git_url_repo() - the same without ref and path: names the repository; owned */
char *git_url_repo(const struct git_url *u);
/** git_url_transport() - what git itself calls the repository: "https://...", or a path; owned */
char *git_url_transport(const struct git_url *u);
/** git_url_copy() - @ret must be empty */
void git_url_copy(struct git_url *ret, const struct git_url *u);

/** git_url_prefix_problem() - why a text can be no beginning of URLs, NULL if it can; lent */
const char *git_url_prefix_problem(const char *prefix);
/** git_url_has_prefix() - whether a repository, as git_url_repo() writes it, is the one that is
 * named by @prefix or lies below it: "git+https://host/team" has host/team/x, not host/teams */
bool git_url_has_prefix(const char *repo, const char *prefix);

/** git_is_commit() - whether a ref is a full commit id: 40 hex digits */
bool git_is_commit(const char *ref);
/** git_ref_problem() - why a text can be no ref (git-check-ref-format(1)), NULL if it can; lent */
const char *git_ref_problem(const char *ref);
/** git_path_problem() - why a text can be no file in a repository, NULL if it can; lent */
const char *git_path_problem(const char *path);

#endif
