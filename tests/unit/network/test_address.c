/* SPDX-License-Identifier: MIT */
/* Subnets, leases and MAC addresses. */
#include "tests/unit/test.h"

#include <arpa/inet.h>

#include "runtime/network/address.h"

static struct in_addr quad(const char *text)
{
	struct in_addr a;
	assert_true(address_parse(text, &a));
	return a;
}

static struct subnet subnet(const char *text)
{
	AUTO_ERROR err = ERROR_INIT;
	struct subnet s;
	assert_ok(err, subnet_parse(text, &s, &err));
	return s;
}

static void assert_quad(struct in_addr a, const char *want)
{
	char text[ADDRESS_TEXT_SIZE];
	address_text(a, text);
	assert_string_equal(text, want);
}

TEST(subnet_parse_accepts)
{
	struct subnet s = subnet("10.77.3.0/24");
	AUTO_FREE char *text = subnet_text(&s);
	assert_string_equal(text, "10.77.3.0/24");
	assert_quad(subnet_gateway(&s), "10.77.3.1");
	assert_quad(subnet_dns(&s), "10.77.3.2");
	assert_quad(subnet_mask(&s), "255.255.255.0");
	assert_quad(subnet_broadcast(&s), "10.77.3.255");
	assert_true(subnet_has(&s, quad("10.77.3.200")));
	assert_false(subnet_has(&s, quad("10.77.4.1")));
}

TEST(subnet_parse_refuses)
{
	const char *const bad[] = { "",
				    "10.77.3.0",
				    "10.77.3.0/",
				    "10.77.3.0/33",
				    "10.77.3.0/8",
				    "10.77.3.0/29",
				    "10.77.3.1/24",
				    "10.77.3/24",
				    "127.0.0.0/16",
				    "224.0.0.0/16",
				    "169.254.0.0/16",
				    "0.0.0.0/16",
				    "10.77.3.0/-1",
				    "x/24",
				    "10.77.3.0/24 ",
				    "010.77.3.0/24" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_ERROR err = ERROR_INIT;
		struct subnet s;
		assert_error(err, E_INVALID, subnet_parse(bad[i], &s, &err));
	}
	AUTO_ERROR err = ERROR_INIT;
	struct subnet s;
	assert_int_equal(subnet_parse("10.77.3.9/24", &s, &err), -E_INVALID);
	assert_non_null(strstr(error_message(&err), "write 10.77.3.0/24"));
}

TEST(subnet_overlap_both_ways)
{
	struct subnet small = subnet("10.77.3.0/24"), big = subnet("10.77.0.0/16"),
		      other = subnet("10.78.0.0/24");
	assert_true(subnet_overlap(&small, &big));
	assert_true(subnet_overlap(&big, &small));
	assert_false(subnet_overlap(&big, &other));
}

TEST(subnet_pick_avoids_routes)
{
	static const char routes[] = "Iface\tDestination\tGateway "
				     "\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
				     "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
				     "tun0\t00054D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
				     "tun1\t00064D0A\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
				     "broken line\n"
				     "tun2\t07074D0A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0";
	AUTO_SUBNET_LIST taken = SUBNET_LIST_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct subnet s;
	host_routes_parse(routes, sizeof(routes) - 1, &taken);
	assert_int_equal(taken.count, 2);
	assert_ok(err, subnet_pick(4, &taken, &s, &err));
	assert_quad(s.base, "10.77.4.0");
	assert_ok(err, subnet_pick(5, &taken, &s, &err));
	assert_quad(s.base, "10.77.6.0");
	assert_ok(err, subnet_pick(7, &taken, &s, &err));
	assert_quad(s.base, "10.77.8.0");
	subnet_list_add(&taken, subnet("10.77.0.0/16"));
	assert_ok(err, subnet_pick(7, &taken, &s, &err));
	assert_quad(s.base, "10.78.0.0");
	subnet_list_add(&taken, (struct subnet){ .base = quad("10.0.0.0"), .prefix = 8 });
	assert_error(err, E_UNAVAILABLE, subnet_pick(0, &taken, &s, &err));
}

TEST(leases_are_stable_and_reused)
{
	AUTO_LEASE_LIST l = LEASE_LIST_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct subnet s = subnet("10.77.0.0/28");
	struct in_addr a;
	assert_ok(err, lease_take(&l, &s, "web", &a, &err));
	assert_quad(a, "10.77.0.10");
	assert_ok(err, lease_take(&l, &s, "db", &a, &err));
	assert_quad(a, "10.77.0.11");
	assert_ok(err, lease_take(&l, &s, "web", &a, &err));
	assert_quad(a, "10.77.0.10");
	lease_drop(&l, "web");
	lease_drop(&l, "nobody");
	assert_null(lease_find(&l, "web"));
	assert_ok(err, lease_take(&l, &s, "new", &a, &err));
	assert_quad(a, "10.77.0.10");
	for (int i = 0; i < 3; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_ok(err, lease_take(&l, &s, name, &a, &err));
	}
	assert_quad(a, "10.77.0.14");
	assert_error(err, E_UNAVAILABLE, lease_take(&l, &s, "one too many", &a, &err));
}

TEST(leases_follow_a_changed_subnet)
{
	AUTO_LEASE_LIST l = LEASE_LIST_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct subnet old = subnet("10.77.0.0/24"), new = subnet("10.77.1.0/24");
	struct in_addr a;
	assert_ok(err, lease_take(&l, &old, "web", &a, &err));
	assert_ok(err, lease_take(&l, &new, "web", &a, &err));
	assert_quad(a, "10.77.1.10");
	assert_int_equal(l.count, 1);
}

TEST(lease_claim_checks)
{
	AUTO_LEASE_LIST l = LEASE_LIST_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct subnet s = subnet("10.77.0.0/24");
	struct in_addr a;
	assert_ok(err, lease_claim(&l, &s, "web", quad("10.77.0.10"), &err));
	assert_ok(err, lease_claim(&l, &s, "web", quad("10.77.0.10"), &err));
	assert_ok(err, lease_take(&l, &s, "db", &a, &err));
	assert_quad(a, "10.77.0.11");
	assert_error(err, E_INVALID, lease_claim(&l, &s, "x", quad("10.78.0.10"), &err));
	assert_error(err, E_INVALID, lease_claim(&l, &s, "x", quad("10.77.0.1"), &err));
	assert_error(err, E_INVALID, lease_claim(&l, &s, "x", quad("10.77.0.255"), &err));
	assert_int_equal(lease_claim(&l, &s, "x", quad("10.77.0.10"), &err), -E_CONFLICT);
	assert_non_null(strstr(error_message(&err), "'web'"));
	error_clear(&err);
	assert_ok(err, lease_claim(&l, &s, "web", quad("10.77.0.50"), &err));
	assert_ok(err, lease_claim(&l, &s, "x", quad("10.77.0.10"), &err));
}

TEST(mac_round_trip)
{
	uint8_t mac[6], again[6];
	char text[MAC_TEXT_SIZE];
	mac_from_address(quad("10.77.0.10"), mac);
	mac_text(mac, text);
	assert_string_equal(text, "02:c7:0a:4d:00:0a");
	assert_true(mac_parse(text, again));
	assert_memory_equal(mac, again, 6);
	assert_true(mac_parse("02:C7:0A:4D:00:0A", again));
	assert_false(mac_parse("03:c7:0a:4d:00:0a", again));
	assert_false(mac_parse("00:00:00:00:00:00", again));
	assert_false(mac_parse("02:c7:0a:4d:00", again));
	assert_false(mac_parse("02-c7-0a-4d-00-0a", again));
	assert_false(mac_parse("02:c7:0a:4d:00:0a ", again));
}
