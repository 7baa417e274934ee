/* SPDX-License-Identifier: MIT */
/* Sizes, durations, numbers, image names, folders that are never shared. */
#include "../test.h"
#include "base/cleanup.h"
#include "spec/fields/image_name.h"
#include "spec/fields/kernel_names.h"
#include "spec/fields/units.h"
#include "spec/model/model.h"

TEST(sizes)
{
	static const struct {
		const char *text;
		int64_t bytes;
		const char *back;
	} good[] = { { "512MiB", 536870912, "512MiB" },
		     { "1.5GiB", 1610612736, "1536MiB" },
		     { "10 GB", 10000000000, "10GB" },
		     { "1KB", 1000, "1KB" },
		     { "1kB", 1000, "1KB" },
		     { "7B", 7, "7B" },
		     { "1024KB", 1024000, "1000KiB" },
		     { "2TiB", 2199023255552, "2TiB" } };
	static const char *const bad[] = { "",
					   "512",
					   "8G",
					   "1.GiB",
					   "-1MiB",
					   "1MiBs",
					   "1 . 5B",
					   "0.5B",
					   ("9999999TiB"
					    "9") };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t v = 0;
		assert_null(units_size(good[i].text, &v));
		assert_int_equal(v, good[i].bytes);
		AUTO_FREE char *back = units_size_text(v);
		assert_string_equal(back, good[i].back);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t v = 0;
		assert_non_null(units_size(bad[i], &v));
	}
}

TEST(durations)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *back;
	} good[] = {
		{ "1m30s", 90000, "1m30s" }, { "500ms", 500, "500ms" }, { "1.5s", 1500, "1s500ms" },
		{ "90s", 90000, "1m30s" },   { "0", 0, "0s" },          { "24h", 86400000, "24h" }
	};
	static const char *const bad[] = { "", "10", "1d", "1s1m", "s", "1m1m", "-1s", "1 s" };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t v = -1;
		assert_null(units_duration(good[i].text, &v));
		assert_int_equal(v, good[i].ms);
		AUTO_FREE char *back = units_duration_text(v);
		assert_string_equal(back, good[i].back);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t v = 0;
		assert_non_null(units_duration(bad[i], &v));
	}
}

TEST(numbers_and_modes)
{
	int64_t v = 0;
	assert_null(units_number("-12", &v));
	assert_int_equal(v, -12);
	assert_non_null(units_number("012", &v));
	assert_non_null(units_number("1e3", &v));
	assert_non_null(units_number("9223372036854775808", &v));
	assert_null(units_mode("0644", &v));
	assert_int_equal(v, 0644);
	assert_non_null(units_mode("64", &v));
	assert_non_null(units_mode("0888", &v));
}

TEST(image_names)
{
	struct image_name n;
	const char *code;
	size_t at;
	assert_null(image_name_parse("localhost:5000/a/b:1.2", &n, &code, &at));
	assert_int_equal(n.host, 14);
	assert_int_equal(n.tag, 19);
	assert_int_equal(n.digest, 0);
	assert_non_null(image_name_parse("Nginx", &n, &code, &at));
	assert_string_equal(code, "E301");
	assert_int_equal(at, 0);
	assert_non_null(image_name_parse("nginx@sha256:1", &n, &code, &at));
	assert_string_equal(code, "E303");
}

TEST(names_of_the_kernel)
{
	assert_int_equal(signal_number("SIGTERM"), 15);
	assert_int_equal(signal_number("int"), 2);
	assert_int_equal(signal_number("RTMIN"), 34);
	assert_int_equal(signal_number("SIGRTMIN+3"), 37);
	assert_int_equal(signal_number("65"), 0);
	assert_string_equal(signal_suggest("sigtrem"), "SIGTERM");
	assert_int_equal(capability_mask("net_admin"), 1 << 12);
	assert_int_equal(capability_mask("CAP_CHOWN"), 1);
	assert_int_equal(capability_mask("CAP_CHECKPOINT_RESTORE"), UINT64_C(1) << 40);
	assert_int_equal(capability_mask("ALL"), (UINT64_C(1) << 41) - 1);
	assert_int_equal(capability_mask("NET_ADMN"), 0);
	assert_int_equal(ulimit_number("nofile"), 7);
	assert_int_equal(ulimit_number("no-file"), -1);
	assert_false(sysctl_is_known("net..x"));
}

TEST(folders_of_ctrz_are_never_shared_but_those_of_specs_in_git)
{
	assert_non_null(host_path_forbidden("/home/u", "/home/u"));
	assert_non_null(host_path_forbidden("/home/u/.local/share/ctrz", "/home/u"));
	assert_non_null(host_path_forbidden("/home/u/.local/share/ctrz/volumes/a", "/home/u"));
	assert_non_null(host_path_forbidden("/home/u/.local/share/ctrz/src", "/home/u"));
	assert_non_null(host_path_forbidden("/home/u/.local/share/ctrz/srcs/a", "/home/u"));
	assert_null(host_path_forbidden("/home/u/.local/share/ctrz/src/0a/shop/site", "/home/u"));
}
