/* SPDX-License-Identifier: MIT */
/* Manifests, indexes, configs and platforms. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "runtime/oci/manifest.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BLOB(type, digest) "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7}"
#define IMAGE(own)                           \
	"{\"schemaVersion\":2," own          \
	"\"config\":" BLOB(MEDIA_OCI_CONFIG, \
			   DIGEST_A) ",\"layers\":[" BLOB(MEDIA_OCI_LAYER "+gzip", DIGEST_B) "]}"
#define PLATFORM(os, arch) "\"os\":\"" os "\",\"architecture\":\"" arch "\""
#define ENTRY(platform) "{\"digest\":\"" DIGEST_A "\",\"size\":1,\"platform\":{" platform "}}"

static int decode(const char *text, const char *type, struct manifest *m, struct error *err)
{
	return manifest_decode(text, strlen(text), type, "image 'x'", m, err);
}

TEST(manifest_of_an_image)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_MANIFEST m = MANIFEST_INIT;
	assert_ok(err, decode(IMAGE(""), NULL, &m, &err));
	assert_int_equal(m.kind, MANIFEST_IMAGE);
	assert_string_equal(m.config.digest, DIGEST_A);
	assert_int_equal(m.entry_count, 1);
	assert_string_equal(m.entries[0].digest, DIGEST_B);
	assert_int_equal(m.entries[0].size, 7);
	assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
	manifest_release(&m);
	assert_ok(err, decode(IMAGE("\"mediaType\":\"" MEDIA_DOCKER_MANIFEST "\","),
			      MEDIA_DOCKER_MANIFEST "; charset=utf-8", &m, &err));
	assert_string_equal(m.media_type, MEDIA_DOCKER_MANIFEST);
}

TEST(manifest_must_be_what_it_is_called)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_MANIFEST m = MANIFEST_INIT;
	const char *both = "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}";
	assert_error(err, E_INTEGRITY, decode(both, NULL, &m, &err));
	assert_error(err, E_INTEGRITY, decode(IMAGE(""), MEDIA_OCI_INDEX, &m, &err));
	assert_error(err, E_INTEGRITY,
		     decode(IMAGE("\"mediaType\":\"" MEDIA_OCI_INDEX "\","), NULL, &m, &err));
	assert_error(err, E_INTEGRITY,
		     decode(IMAGE("\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","),
			    MEDIA_DOCKER_MANIFEST, &m, &err));
	assert_error(err, E_INTEGRITY, decode(IMAGE(""), "text/html", &m, &err));
}

TEST(manifest_refused)
{
	static const char *const cases[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"schemaVersion\":1,\"fsLayers\":[]}",
		"{\"schemaVersion\":3,\"layers\":[]}",
		"{\"schemaVersion\":2,\"layers\":[]}",
		("{\"schemaVersion\":2,\"layers\":{},\"config\":" BLOB("", DIGEST_A) "}"),
		("{\"schemaVersion\":2,\"layers\":[7],\"config\":" BLOB("", DIGEST_A) "}"),
		("{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" DIGEST_A "\"}}"),
		("{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" DIGEST_A
		 "\",\"size\":-1}}"),
		("{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" DIGEST_A
		 "\",\"size\":9e18}}"),
		("{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"sha256:../"
		 "x\",\"size\":1}}"),
		"{\"schemaVersion\":2,\"manifests\":7}",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_MANIFEST m = MANIFEST_INIT;
		if (decode(cases[i], NULL, &m, &err) != -E_INTEGRITY)
			fail_msg("accepted: %s", cases[i]);
	}
}

static int choose(const char *entries, const char *platform, size_t *ret, struct error *err)
{
	AUTO_FREE char *text = xasprintf("{\"schemaVersion\":2,\"manifests\":[%s]}", entries);
	AUTO_MANIFEST m = MANIFEST_INIT;
	AUTO_PLATFORM want = PLATFORM_INIT;
	int rc = decode(text, MEDIA_OCI_INDEX, &m, err);
	if (rc == 0)
		rc = platform_parse(platform, &want, err);
	return rc == 0 ? index_choose(&m, &want, "image 'x'", ret, err) : rc;
}

TEST(index_choice)
{
	AUTO_ERROR err = ERROR_INIT;
	size_t at = 99;
	AUTO_FREE char *all =
		xasprintf("%s,%s,%s,%s,%s,%s,%s", ENTRY(PLATFORM("unknown", "unknown")),
			  ENTRY(PLATFORM("linux", "arm") ",\"variant\":\"v6\""),
			  ENTRY(PLATFORM("linux", "arm") ",\"variant\":\"v7\""),
			  ENTRY(PLATFORM("linux", "amd64") ",\"variant\":\"v3\""),
			  ENTRY(PLATFORM("linux", "amd64")),
			  ENTRY(PLATFORM("linux", "arm64") ",\"variant\":\"v8\""),
			  ENTRY(PLATFORM("windows", "amd64")));
	static const struct {
		const char *platform;
		size_t at;
	} cases[] = {
		{ "linux/amd64", 4 },    { "amd64", 4 },        { "linux/amd64/v3", 3 },
		{ "linux/amd64/v2", 4 }, { "linux/arm/v6", 1 }, { "linux/arm/v7", 2 },
		{ "linux/arm", 2 },      { "linux/arm64", 5 },  { "aarch64", 5 },
		{ "windows/amd64", 6 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_ok(err, choose(all, cases[i].platform, &at, &err));
		if (at != cases[i].at)
			fail_msg("%s gives entry %zu", cases[i].platform, at);
	}
	assert_int_equal(choose(all, "linux/s390x", &at, &err), -E_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "linux/arm/v6, linux/arm/v7, linux/amd64/v3, "
						    "linux/amd64, linux/arm64/v8, windows/amd64"));
	error_clear(&err);
	assert_error(err, E_NOT_FOUND, choose(all, "linux/arm/v5", &at, &err));
	assert_error(err, E_NOT_FOUND, choose("", "linux/amd64", &at, &err));
	/* One image that does not say: its config will. */
	assert_ok(err,
		  choose("{\"digest\":\"" DIGEST_A "\",\"size\":1}", "linux/amd64", &at, &err));
	assert_int_equal(at, 0);
}

TEST(platforms_refused)
{
	static const char *const cases[] = { "",    "/",        "linux/", "linux/amd64/v3/x",
					     "a b", "linux//v3" };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_PLATFORM p = PLATFORM_INIT;
		if (platform_parse(cases[i], &p, &err) != -E_INVALID)
			fail_msg("accepted: '%s'", cases[i]);
	}
	AUTO_ERROR err = ERROR_INIT;
	AUTO_PLATFORM host = PLATFORM_INIT;
	assert_ok(err, platform_parse(NULL, &host, &err));
	assert_string_equal(host.os, "linux");
}

TEST(config_of_an_image)
{
	const char *text = "{\"os\":\"linux\",\"architecture\":\"arm64\",\"created\":\"2024-02-"
			   "29T12:00:00.25+01:00\","
			   "\"config\":{\"Cmd\":[\"a\",\"b\"],\"Entrypoint\":null,\"Env\":[\"X=1\"]"
			   ",\"User\":\"u\","
			   "\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\"},"
			   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST_A
			   "\",\"" DIGEST_B "\"]}}";
	AUTO_ERROR err = ERROR_INIT;
	AUTO_OCI_CONFIG c = OCI_CONFIG_INIT;
	assert_ok(err, oci_config_decode(text, strlen(text), "config", &c, &err));
	assert_int_equal(c.cmd.count, 2);
	assert_int_equal(c.entrypoint.count, 0);
	assert_string_equal(c.user, "u");
	assert_string_equal(c.working_dir, "/w");
	assert_string_equal(c.stop_signal, "SIGINT");
	assert_int_equal(c.created_unix_ms, 1709204400250);
	assert_int_equal(c.diff_ids.count, 2);
}

TEST(config_refused)
{
	static const char *const cases[] = {
		"",
		"7",
		"{}",
		"{\"rootfs\":{\"type\":\"other\",\"diff_ids\":[]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[7]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"x\"]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":\"x\"}}",
		"{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Cmd\":\"sh\"}}",
		"{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Env\":[1]}}",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_OCI_CONFIG c = OCI_CONFIG_INIT;
		if (oci_config_decode(cases[i], strlen(cases[i]), "config", &c, &err) !=
		    -E_INTEGRITY)
			fail_msg("accepted: %s", cases[i]);
	}
}

/* The example of the image spec's own arithmetic: sha256 of "<chain> <diff>". */
TEST(chain_ids)
{
	AUTO_STRLIST ids = STRLIST_INIT;
	AUTO_FREE char *none = chain_id(&ids);
	assert_string_equal(
		none, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	strlist_add(&ids, DIGEST_A);
	AUTO_FREE char *one = chain_id(&ids);
	assert_string_equal(one, DIGEST_A);
	strlist_add(&ids, DIGEST_B);
	AUTO_FREE char *two = chain_id(&ids);
	assert_string_equal(
		two, "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
}

TEST(times)
{
	assert_int_equal(time_parse_rfc3339("1970-01-01T00:00:01Z"), 1000);
	assert_int_equal(time_parse_rfc3339("2023-11-14T22:13:20.123456789Z"), 1700000000123);
	assert_int_equal(time_parse_rfc3339("2023-11-14T23:13:20+01:00"), 1700000000000);
	assert_int_equal(time_parse_rfc3339("0001-01-01T00:00:00Z"), 0);
	assert_int_equal(time_parse_rfc3339("yesterday"), 0);
	assert_int_equal(time_parse_rfc3339("2023-11-14T22:13:20"), 0);
}
