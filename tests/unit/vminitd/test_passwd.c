/* SPDX-License-Identifier: MIT */
/* Who a process runs as. */
#include "tests/unit/test.h"
#include "vminitd/agent/passwd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "#comment:x:1:1::/no:/no\n"
			     "broken line\n"
			     ":x:0:0::/no:\n"
			     "huge:x:4294967295:0::/no:/no\n"
			     "neg:x:-1:0::/no:/no\n"
			     "dev:x:1000:1001:Dev:/home/dev:/bin/sh\n"
			     "homeless:x:1002:1002::\n"
			     "twin:x:1000:7::/twin:\n"
			     "last:x:9:9::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "wheel:x:10:root,dev\n"
			    "devs:x:11:devel,xdev,dev\n"
			    "dev:x:1001:\n"
			    "wheel2:x:10:dev\n"
			    "broken:x\n"
			    "tail:x:12:last";

static void check(const char *user, uint32_t uid, uint32_t gid, const char *home, size_t groups)
{
	struct strlist none = STRLIST_INIT;
	struct identity id;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, identity_resolve(user, &none, passwd, group, &id, &err));
	assert_int_equal(id.uid, uid);
	assert_int_equal(id.gid, gid);
	assert_string_equal(id.home, home);
	assert_int_equal(id.group_count, groups);
	identity_release(&id);
}

TEST(passwd_names_and_numbers)
{
	check("", 0, 0, "/root", 2);
	check(NULL, 0, 0, "/root", 2);
	check("root", 0, 0, "/root", 2);
	check("dev", 1000, 1001, "/home/dev", 3);
	check("1000", 1000, 1001, "/home/dev", 3);
	check("last", 9, 9, "/last", 2);
	check("homeless", 1002, 1002, "/", 1);
	check("4242", 4242, 0, "/", 1);
}

TEST(passwd_a_named_group_is_the_only_one)
{
	check("dev:wheel", 1000, 10, "/home/dev", 1);
	check("dev:77", 1000, 77, "/home/dev", 1);
	check("4242:devs", 4242, 11, "/", 1);
	check(":wheel", 0, 10, "/root", 1);
	check("dev:", 1000, 1001, "/home/dev", 3);
}

TEST(passwd_further_groups)
{
	AUTO_STRLIST extra = STRLIST_INIT;
	struct identity id;
	AUTO_ERROR err = ERROR_INIT;

	strlist_add(&extra, "tail");
	strlist_add(&extra, "99");
	strlist_add(&extra, "10");
	assert_ok(err, identity_resolve("dev", &extra, passwd, group, &id, &err));
	assert_int_equal(id.group_count, 5);
	assert_int_equal(id.groups[3], 12);
	assert_int_equal(id.groups[4], 99);
	identity_release(&id);
}

TEST(passwd_refuses)
{
	static const struct {
		const char *user;
		enum error_code code;
	} cases[] = {
		{ "nobody-here", E_NOT_FOUND }, { "dev:no-group", E_NOT_FOUND },
		{ "#comment", E_NOT_FOUND },    { "broken line", E_NOT_FOUND },
		{ "huge", E_NOT_FOUND },        { "neg", E_NOT_FOUND },
		{ "4294967295", E_INVALID },    { "99999999999999999999", E_INVALID },
		{ "0:4294967295", E_INVALID },  { "de", E_NOT_FOUND },
		{ "-1", E_NOT_FOUND },
	};
	struct strlist none = STRLIST_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct identity id;
		AUTO_ERROR err = ERROR_INIT;
		assert_error(err, cases[i].code,
			     identity_resolve(cases[i].user, &none, passwd, group, &id, &err));
	}
}

TEST(passwd_works_without_files)
{
	struct strlist none = STRLIST_INIT;
	struct identity id;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, identity_resolve("", &none, "", "", &id, &err));
	assert_int_equal(id.uid, 0);
	assert_null(id.name);
	identity_release(&id);
	assert_error(err, E_NOT_FOUND, identity_resolve("root", &none, "", "", &id, &err));
}

TEST(passwd_too_many_groups)
{
	AUTO_BUFFER text = BUFFER_INIT;
	struct strlist none = STRLIST_INIT;
	struct identity id;
	AUTO_ERROR err = ERROR_INIT;

	for (int i = 0; i < IDENTITY_GROUPS_MAX + 1; i++)
		buffer_printf(&text, "g%d:x:%d:dev\n", i, i + 2000);
	assert_error(err, E_INVALID,
		     identity_resolve("dev", &none, passwd, buffer_str(&text), &id, &err));
}
