/* SPDX-License-Identifier: MIT */
/* References as people write them. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "runtime/oci/reference.h"

static const char sha[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(reference_defaults)
{
	static const struct {
		const char *in, *full, *familiar;
	} cases[] = {
		{ "alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19" },
		{ "team/app", "docker.io/team/app:latest", "team/app:latest" },
		{ "docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest" },
		{ "docker.io/library/x/y", "docker.io/library/x/y:latest", "library/x/y:latest" },
		{ "ghcr.io/team/app:v2", "ghcr.io/team/app:v2", "ghcr.io/team/app:v2" },
		{ "localhost/x", "localhost/x:latest", "localhost/x:latest" },
		{ "localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest" },
		{ "127.0.0.1:5000/a/b/c:d", "127.0.0.1:5000/a/b/c:d", "127.0.0.1:5000/a/b/c:d" },
		{ "[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest" },
		{ "a__b/c-_d", NULL, NULL },
		{ "a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest" },
		{ "x:_T.a-9", "docker.io/library/x:_T.a-9", "x:_T.a-9" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_REFERENCE r = REFERENCE_INIT;
		if (!cases[i].full) {
			assert_error(err, E_INVALID, reference_parse(cases[i].in, &r, &err));
			continue;
		}
		assert_ok(err, reference_parse(cases[i].in, &r, &err));
		AUTO_FREE char *full = reference_text(&r);
		AUTO_FREE char *familiar = reference_familiar(&r);
		assert_string_equal(full, cases[i].full);
		assert_string_equal(familiar, cases[i].familiar);
		/* What is printed is read back as the same. */
		AUTO_REFERENCE again = REFERENCE_INIT;
		assert_ok(err, reference_parse(familiar, &again, &err));
		AUTO_FREE char *twice = reference_text(&again);
		assert_string_equal(twice, cases[i].full);
	}
}

TEST(reference_digests)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_REFERENCE r = REFERENCE_INIT;
	AUTO_FREE char *text = xasprintf("alpine@%s", sha);
	assert_ok(err, reference_parse(text, &r, &err));
	assert_null(r.tag);
	assert_string_equal(r.digest, sha);
	reference_release(&r);
	AUTO_FREE char *both = xasprintf("host.example:1/a:tag@%s", sha);
	assert_ok(err, reference_parse(both, &r, &err));
	assert_string_equal(r.tag, "tag");
	AUTO_FREE char *full = reference_text(&r);
	assert_string_equal(full, both);
}

TEST(reference_refused)
{
	static const struct {
		const char *in, *says;
	} cases[] = {
		{ "", "empty" },
		{ "Alpine", "lower case" },
		{ "https://ghcr.io/x", "leave out the scheme" },
		{ "x:", "a tag is" },
		{ "x:-a", "a tag is" },
		{ "x:a b", "a tag is" },
		{ "x@sha256:abc", "64 hex digits" },
		{ "x@", "64 hex digits" },
		{ "/x", "repository name" },
		{ "x/", "repository name" },
		{ "x//y", "repository name" },
		{ "x/.y", "repository name" },
		{ "../x", "host name" },
		{ "a.b:99999/x", "host name" },
		{ "a.b:/x", "host name" },
		{ "-a.b/x", "host name" },
		{ "[::1/x", "host name" },
		{ "x\n", "repository name" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_REFERENCE r = REFERENCE_INIT;
		assert_int_equal(reference_parse(cases[i].in, &r, &err), -E_INVALID);
		if (!strstr(error_message(&err), cases[i].says))
			fail_msg("'%s' gives: %s", cases[i].in, error_message(&err));
		assert_null(strchr(error_message(&err), '\n'));
	}
	char text[REFERENCE_MAX + 2];
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	AUTO_ERROR err = ERROR_INIT;
	AUTO_REFERENCE r = REFERENCE_INIT;
	assert_error(err, E_INVALID, reference_parse(text, &r, &err));
	text[300] = '\0';
	assert_error(err, E_INVALID, reference_parse(text, &r, &err));
	text[240] = '\0';
	assert_ok(err, reference_parse(text, &r, &err));
}

TEST(hosts)
{
	assert_true(host_is_loopback("localhost"));
	assert_true(host_is_loopback("localhost:5000"));
	assert_true(host_is_loopback("127.9.0.1:80"));
	assert_true(host_is_loopback("[::1]:80"));
	assert_true(host_is_loopback("::1"));
	assert_true(host_is_loopback("::ffff:127.0.0.1"));
	assert_false(host_is_loopback("localhost.example.com"));
	assert_false(host_is_loopback("128.0.0.1"));
	assert_false(host_is_loopback("docker.io"));
	assert_true(host_is_link_local("169.254.169.254:80"));
	assert_true(host_is_link_local("[fe80::1]:80"));
	assert_false(host_is_link_local("169.253.0.1"));
}

TEST(digests)
{
	assert_true(digest_is_valid(sha));
	assert_false(digest_is_valid("sha256:"));
	assert_false(digest_is_valid("md5:0123456789abcdef0123456789abcdef"));
	assert_false(digest_is_valid(
		"sha256:../../../../../../../../../../../../../../../../etc/passwd00000"));
	AUTO_FREE char *upper = xstrdup(sha);
	upper[8] = 'A';
	assert_false(digest_is_valid(upper));
	AUTO_FREE char *longer = xasprintf("%s0", sha);
	assert_false(digest_is_valid(longer));
	AUTO_FREE char *shown = digest_short(sha);
	assert_string_equal(shown, "0123456789ab");
}
