/* SPDX-License-Identifier: MIT */
/* JSON and digests. */
#include <string.h>

#include "base/digest/digest.h"
#include "base/json/json.h"
#include "tests/unit/test.h"

static int parse(const char *text, struct json **ret, struct error *err)
{
	return json_parse(text, strlen(text), 1000, "test", ret, err);
}

TEST(json_round_trip)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	assert_ok(err, parse("{\"b\":[1,\"x\",true,null],\"a\":{\"n\":5}}", &v, &err));
	AUTO_FREE char *text = json_text(v);
	assert_string_equal(text, "{\"b\":[1,\"x\",true,null],\"a\":{\"n\":5}}");
	AUTO_BUFFER sorted = BUFFER_INIT;
	json_print(v, 0, true, &sorted);
	assert_string_equal(buffer_str(&sorted), "{\"a\":{\"n\":5},\"b\":[1,\"x\",true,null]}");
	assert_int_equal(json_u64(json_member_object(v, "a"), "n", 0), 5);
	assert_int_equal(json_kind_of(json_item(json_member_array(v, "b"), 3)), JSON_NULL_T);
}

TEST(json_refuses_what_it_should)
{
	AUTO_ERROR err = ERROR_INIT;
	struct json *v = NULL;
	assert_error(err, E_INVALID, parse("{\"a\":1,\"a\":2}", &v, &err));
	assert_error(err, E_INVALID, parse("{} x", &v, &err));
	assert_error(err, E_INVALID, parse("{\"a\":\"\xff\"}", &v, &err));
	char deep[900];
	memset(deep, '[', sizeof(deep));
	assert_error(err, E_INVALID,
		     json_parse(deep, sizeof(deep), sizeof(deep), "test", &v, &err));
	assert_error(err, E_INVALID, json_parse("[1]", 3, 2, "test", &v, &err));
}

TEST(json_getters_name_what_is_wrong)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	const char *s = NULL;
	uint64_t n = 0;
	assert_ok(err, parse("{\"s\":\"x\",\"n\":-1}", &v, &err));
	assert_ok(err, json_get_string(v, "s", "thing", &s, &err));
	assert_string_equal(s, "x");
	assert_int_equal(json_get_string(v, "t", "thing", &s, &err), -E_INVALID);
	assert_string_equal(error_message(&err), "thing: \"t\" is missing");
	error_clear(&err);
	assert_error(err, E_INVALID, json_get_u64(v, "n", "thing", &n, &err));
	assert_string_equal(json_str(v, "n", "fallback"), "fallback");
}

TEST(json_strings_are_made_valid)
{
	AUTO_JSON v = json_new_string_n("a\xff"
					"b",
					3);
	AUTO_FREE char *text = json_text(v);
	assert_string_equal(text, "\"a\xef\xbf\xbd"
				  "b\"");
}

TEST(digests_of_the_standard)
{
	/* FIPS 180-4 examples, RFC 4231 case 2 */
	char hex[DIGEST_HEX_MAX + 1];
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	CLEANUP(digest_free_p) struct digest *d = digest_new(DIGEST_SHA256);
	digest_add(d, "a", 1);
	digest_add(d, "bc", 2);
	digest_hex(d, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hmac_sha256_hex("Jefe", 4, "what do ya want for nothing?", 28, hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
