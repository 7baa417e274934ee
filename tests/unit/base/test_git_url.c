/* SPDX-License-Identifier: MIT */
/* The grammar of names of files in git. */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/git_url.h"
#include "base/text.h"
#include "tests/unit/test.h"

#define HEX40 "0123456789abcdef0123456789abcdef01234567"

static void check(const char *text, const char *canonical, const char *transport, const char *ref,
		  const char *path)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_GIT_URL u = GIT_URL_INIT;
	assert_ok(err, git_url_parse(text, &u, &err));
	AUTO_FREE char *printed = git_url_text(&u);
	AUTO_FREE char *fetched = git_url_transport(&u);
	assert_string_equal(printed, canonical);
	assert_string_equal(fetched, transport);
	assert_true(str_equal(u.ref, ref));
	assert_true(str_equal(u.path, path));
}

TEST(git_url_reads_what_people_write)
{
	check("git+https://git.example/acme/shop.git", "git+https://git.example/acme/shop.git",
	      "https://git.example/acme/shop.git", NULL, NULL);
	check("git+https://Git.Example:443/acme/shop.git#v3:shop/env.yaml",
	      "git+https://git.example/acme/shop.git#v3:shop/env.yaml",
	      "https://git.example/acme/shop.git", "v3", "shop/env.yaml");
	check("git+ssh://git@git.example:2222/shop.git#a/main",
	      "git+ssh://git@git.example:2222/shop.git#a/main",
	      "ssh://git@git.example:2222/shop.git", "a/main", NULL);
	check("git+file:///srv/my%20repo.git/#:a:b.yaml", "git+file:///srv/my%20repo.git#:a:b.yaml",
	      "/srv/my repo.git", NULL, "a:b.yaml");
	check("git+https://[::1]:8443/r#" HEX40, "git+https://[::1]:8443/r#" HEX40,
	      "https://[::1]:8443/r", HEX40, NULL);
	check("git+https://h/r#HEAD", "git+https://h/r", "https://h/r", NULL, NULL);
	check("git+https://h/r#pull/7/head:e.yaml", "git+https://h/r#pull/7/head:e.yaml",
	      "https://h/r", "pull/7/head", "e.yaml");
	check("git+https://h/%c3%a9#", "git+https://h/%C3%A9", "https://h/%C3%A9", NULL, NULL);
}

/* Each of them with a word of the reason. */
TEST(git_url_refuses_the_rest)
{
	static const char *const bad[][2] = {
		{ "http://h/r.git", "plain HTTP" },
		{ "git+http://h/r.git", "plain HTTP" },
		{ "git://h/r.git", "git://" },
		{ "git+git://h/r.git", "git://" },
		{ "https://h/r.git", "put git+ before" },
		{ "ssh://h/r.git", "put git+ before" },
		{ "file:///r.git", "put git+ before" },
		{ "ext::sh -c id", "scheme" },
		{ "git+ext::sh", "scheme" },
		{ "fd::17/foo", "scheme" },
		{ "git+ftp://h/r", "scheme" },
		{ "git+https://u:secret@h/r", "password" },
		{ "git+https://-u@h/r", "user name" },
		{ "git+https://@h/r", "user name" },
		{ "git+https:///r", "no host" },
		{ "git+https://-oProxyCommand=id/r", "host" },
		{ "git+ssh://-oProxyCommand/r", "host" },
		{ "git+https://h_a*/r", "host" },
		{ "git+https://[::1/r", "]" },
		{ "git+https://h:0/r", "port" },
		{ "git+https://h:99999/r", "port" },
		{ "git+https://h:/r", "port" },
		{ "git+https://h", "no repository" },
		{ "git+https://h/", "no repository" },
		{ "git+https://h/a//b", "empty part" },
		{ "git+https://h/a/../b", "\"..\"" },
		{ "git+https://h/a/%2e%2e/b", "\"..\"" },
		{ "git+https://h/a/..%2fb", "%2F" },
		{ "git+https://h/a%00", "%00" },
		{ "git+https://h/a%zz", "hex digits" },
		{ "git+https://h/a%2", "hex digits" },
		{ "git+https://h/-a", "begin with" },
		{ "git+https://h/a/.git", ".git" },
		{ "git+https://h/a?ref=b", "\"?\"" },
		{ "git+https://h/a b", "%20" },
		{ "git+https://h/a%0ab", "control" },
		{ "git+https://h/a%ff", "no text" },
		{ "git+file://host/r", "names a host" },
		{ "git+https://h/r#-x", "begin with" },
		{ "git+https://h/r#--upload-pack=id", "begin with" },
		{ "git+https://h/r#a/-b", "begin with" },
		{ "git+https://h/r#a..b", "no name" },
		{ "git+https://h/r#a.lock", "no name" },
		{ "git+https://h/r#a%20b", "no name" },
		{ "git+https://h/r#a%5eb", "no name" },
		{ "git+https://h/r#refs@{1}", "no name" },
		{ "git+https://h/r#" HEX40 "012345670123456701234567", "SHA-256" },
		{ "git+https://h/r#main:", "empty part" },
		{ "git+https://h/r#main:/etc/passwd", "empty part" },
		{ "git+https://h/r#main:../e.yaml", "\"..\"" },
		{ "git+https://h/r#main:a/%2e./e.yaml", "\"..\"" },
		{ "git+https://h/r#main:.GIT/config", ".git" },
		{ "git+https://h/r#main:-e.yaml", "begin with" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_GIT_URL u = GIT_URL_INIT;
		if (git_url_parse(bad[i][0], &u, &err) == 0)
			fail_msg("%s was accepted", bad[i][0]);
		if (!strstr(error_message(&err), bad[i][1]))
			fail_msg("%s: %s", bad[i][0], error_message(&err));
	}
}

TEST(git_url_is_bounded)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_FREE char *text = xasprintf("git+https://h/%5000d", 1);
	assert_error(err, E_INVALID, git_url_parse(text, &u, &err));
}

TEST(git_url_is_told_from_a_path)
{
	static const char *const urls[] = { "git+x", "http://h", "ext::sh", "git://h",
					    "x+y.z-1://" };
	static const char *const paths[] = { "env.yaml", "./git+x/env.yaml", "a/b://c", "://x",
					     "a:b" };
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		assert_true(git_url_is(urls[i]));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_false(git_url_is(paths[i]));
}

TEST(a_prefix_ends_at_a_slash)
{
	static const char repo[] = "git+https://git.example/team/envs.git";
	static const char *const good[] = { "git+https://git.example", "git+https://git.example/",
					    "git+https://git.example/team",
					    "git+https://git.example/team//",
					    "git+https://git.example/team/envs.git" };
	static const char *const other[] = { "git+https://git.exampl",
					     "git+https://git.example/tea",
					     "git+https://git.example/team/env",
					     "git+https://git.example/team/envs.git/x",
					     "git+ssh://git.example/team",
					     "git+https://",
					     "git+https:",
					     "git+",
					     "",
					     "/" };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(git_url_has_prefix(repo, good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_false(git_url_has_prefix(repo, other[i]));
	assert_false(git_url_has_prefix("git+https://git.example:8443/x", good[0]));
	assert_false(git_url_has_prefix("git+https://git.example.evil/x", good[0]));
}
