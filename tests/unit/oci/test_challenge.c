/* SPDX-License-Identifier: MIT */
/* WWW-Authenticate headers, token services, base64. */
#include "tests/unit/test.h"

#include "base/cleanup.h"
#include "runtime/oci/challenge.h"
#include "runtime/oci/credentials.h"

static int choose(const char *header, struct challenge *c, struct error *err)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	strlist_add(&headers, header);
	return challenge_choose(&headers, c, err);
}

TEST(challenge_bearer)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CHALLENGE c = CHALLENGE_INIT;
	assert_ok(err, choose("Bearer realm=\"https://a/t\",service=\"s, \\\"x\\\"\", "
			      "scope=\"r:x:pull,push\"",
			      &c, &err));
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "https://a/t");
	assert_string_equal(c.service, "s, \"x\"");
	assert_string_equal(c.scope, "r:x:pull,push");
}

TEST(challenge_several)
{
	static const char *const bearer_wins[] = {
		"Basic realm=\"x\", Bearer realm=\"https://a/t\"",
		"Bearer realm=\"https://a/t\", Basic realm=\"x\"",
		"Negotiate, Basic realm=x, bearer Realm=https://a/t",
		"Negotiate YWJj==, Digest realm=\"d\", nonce=\"n\", Bearer realm=\"https://a/t\"",
		"Bearer , Bearer realm=\"https://a/t\"",
	};
	for (size_t i = 0; i < sizeof(bearer_wins) / sizeof(bearer_wins[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_CHALLENGE c = CHALLENGE_INIT;
		assert_ok(err, choose(bearer_wins[i], &c, &err));
		if (c.scheme != CHALLENGE_BEARER || strcmp(c.realm, "https://a/t") != 0)
			fail_msg("%s", bearer_wins[i]);
	}
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CHALLENGE c = CHALLENGE_INIT;
	assert_ok(err, choose("Basic", &c, &err));
	assert_int_equal(c.scheme, CHALLENGE_BASIC);
}

TEST(challenge_refused)
{
	static const char *const cases[] = {
		"", ",,,", "Negotiate", "Bearer", "Bearer realm=\"open", "\"", "=", "Bearer =x"
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_CHALLENGE c = CHALLENGE_INIT;
		if (choose(cases[i], &c, &err) != -E_DENIED)
			fail_msg("accepted: %s", cases[i]);
	}
}

TEST(realms)
{
	static const struct {
		const char *realm, *registry;
		bool plain;
		const char *allowed;
		int rc;
		bool trusted;
	} cases[] = {
		{ "https://auth.docker.io/token", "docker.io", false, NULL, 0, true },
		{ "https://gitlab.com/jwt/auth", "registry.gitlab.com", false, NULL, 0, true },
		{ "https://ghcr.io/token", "ghcr.io", false, NULL, 0, true },
		{ "https://GHCR.io/token", "ghcr.io:443", false, NULL, 0, true },
		{ "https://evil.example/token", "ghcr.io", false, NULL, 0, false },
		{ "https://auth.docker.io/token", "evil.example", false, NULL, 0, false },
		{ "https://auth.example/token", "reg.example", false, "auth.example", 0, true },
		{ "http://ghcr.io/token", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "http://127.0.0.1:9/token", "127.0.0.1:5000", true, NULL, 0, true },
		{ "http://localhost:9/token", "127.0.0.1:5000", true, NULL, 0, true },
		{ "https://127.0.0.1/token", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "https://localhost/token", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "https://[::1]/token", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "https://169.254.169.254/", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "https://u:p@ghcr.io/token", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "file:///etc/passwd", "ghcr.io", false, NULL, -E_DENIED, false },
		{ "nonsense", "ghcr.io", false, NULL, -E_DENIED, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		bool trusted = false;
		int rc = realm_check(cases[i].realm, cases[i].registry, cases[i].plain,
				     cases[i].allowed, &trusted, &err);
		if (rc != cases[i].rc || trusted != cases[i].trusted)
			fail_msg("%s for %s: %d %d", cases[i].realm, cases[i].registry, rc,
				 trusted);
	}
}

TEST(base64)
{
	static const struct {
		const char *plain, *encoded;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "user:p\xc3\xa4ss", "dXNlcjpww6Rzcw==" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *encoded = base64_encode(cases[i].plain, strlen(cases[i].plain));
		assert_string_equal(encoded, cases[i].encoded);
		size_t size = 99;
		AUTO_FREE char *decoded = base64_decode(encoded, &size);
		assert_string_equal(decoded, cases[i].plain);
		assert_int_equal(size, strlen(cases[i].plain));
	}
	size_t size;
	assert_null(base64_decode("Zg=x", &size));
	assert_null(base64_decode("Z", &size));
	assert_null(base64_decode("Zm 9v", &size));
}
