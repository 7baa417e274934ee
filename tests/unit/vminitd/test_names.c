/* SPDX-License-Identifier: MIT */
/* resolv.conf and hosts as text. */
#include "base/alloc.h"
#include "tests/unit/test.h"
#include "vminitd/agent/names.h"

TEST(names_resolv_conf)
{
	struct msg_names n = { 0 };
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	strlist_add(&n.dns_servers, "10.0.0.2");
	strlist_add(&n.dns_servers, "fd00::2");
	strlist_add(&n.dns_search, "shop.test");
	strlist_add(&n.dns_search, "test");
	strlist_add(&n.dns_options, "ndots:1");
	assert_ok(err, names_resolv_conf(&n, &out, &err));
	assert_string_equal(buffer_str(&out), "nameserver 10.0.0.2\nnameserver fd00::2\n"
					      "search shop.test test\noptions ndots:1\n");
	strlist_add(&n.dns_search, "evil\nnameserver 6.6.6.6");
	assert_error(err, E_INVALID, names_resolv_conf(&n, &out, &err));
	msg_names_release(&n);
}

TEST(names_hosts)
{
	struct msg_names n = { .host_count = 1 };
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_BUFFER bare = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	n.hosts = xcalloc(1, sizeof(*n.hosts));
	n.hosts[0].address = xstrdup("10.0.0.3");
	strlist_add(&n.hosts[0].names, "db");
	strlist_add(&n.hosts[0].names, "postgres");
	assert_ok(err, names_hosts(&n, "web", "10.0.0.5", &out, &err));
	assert_string_equal(buffer_str(&out),
			    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
			    "10.0.0.5 web\n10.0.0.3 db postgres\n");
	assert_ok(err, names_hosts(&n, "web", "", &bare, &err));
	assert_non_null(strstr(buffer_str(&bare), "\n127.0.1.1 web\n"));
	strlist_add(&n.hosts[0].names, "# hidden");
	assert_error(err, E_INVALID, names_hosts(&n, "web", "", &out, &err));
	msg_names_release(&n);
}
