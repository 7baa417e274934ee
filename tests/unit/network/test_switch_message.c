/* SPDX-License-Identifier: MIT */
/* What goes over the control socket, and reading the kernel's lists of ports. */
#include "tests/unit/test.h"

#include <arpa/inet.h>

#include "runtime/network/address.h"
#include "runtime/network/host_port.h"
#include "runtime/network/switch_message.h"

static struct json *parse(const char *text)
{
	AUTO_ERROR err = ERROR_INIT;
	struct json *v = NULL;
	assert_ok(err, json_parse(text, strlen(text), SWITCH_MESSAGE_MAX, "test", &v, &err));
	return v;
}

TEST(config_round_trip)
{
	AUTO_ERROR err = ERROR_INIT;
	char name[] = "shop", dir[] = "/run/x";
	struct switch_config c = { name, dir, { htonl(0x0a4d0300) }, 24, EGRESS_ENV };
	struct switch_config again CLEANUP(switch_config_release) = { 0 };
	AUTO_JSON v = switch_config_json(&c);
	assert_ok(err, switch_config_parse(v, &again, &err));
	AUTO_JSON w = switch_config_json(&again);
	AUTO_FREE char *a = json_text(v);
	AUTO_FREE char *b = json_text(w);
	assert_string_equal(a, b);
	assert_int_equal(again.egress, EGRESS_ENV);
}

TEST(config_refuses)
{
	static const char *const bad[] = {
		"{}",
		"{\"name\":\"n\",\"run_dir\":\"x\",\"subnet\":\"10.0.0.0\",\"prefix\":24,"
		"\"egress\":\"env\"}",
		"{\"name\":\"n\",\"run_dir\":\"/"
		"x\",\"subnet\":\"10.0.0.1\",\"prefix\":24,\"egress\":\"env\"}",
		"{\"name\":\"n\",\"run_dir\":\"/"
		"x\",\"subnet\":\"10.0.0.0\",\"prefix\":32,\"egress\":\"env\"}",
		"{\"name\":\"n\",\"run_dir\":\"/"
		"x\",\"subnet\":\"10.0.0.0\",\"prefix\":24,\"egress\":\"all\"}",
		"{\"name\":\"n\",\"run_dir\":\"/x\",\"subnet\":7,\"prefix\":24,\"egress\":\"env\"}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_ERROR err = ERROR_INIT;
		struct switch_config c = { 0 };
		AUTO_JSON v = parse(bad[i]);
		assert_error(err, E_INVALID, switch_config_parse(v, &c, &err));
	}
}

#define PORT(name, mac, publish)                \
	"{\"name\":\"" name "\",\"mac\":\"" mac \
	"\",\"address\":\"10.77.0.10\",\"aliases\":[\"x\"],\"publish\":[" publish "]}"
#define FORWARD(host, guest)                                                                    \
	"{\"host_addr\":\"127.0.0.1\",\"host_port\":" host ",\"guest_port\":" guest ",\"udp\":" \
	"true}"

TEST(port_round_trip)
{
	AUTO_ERROR err = ERROR_INIT;
	struct switch_port p CLEANUP(switch_port_release) = { 0 };
	AUTO_JSON v = parse(PORT("web", "02:c7:0a:4d:00:0a", FORWARD("0", "53")));
	assert_ok(err, switch_port_parse(v, &p, &err));
	assert_string_equal(p.name, "web");
	assert_int_equal(p.aliases.count, 1);
	assert_int_equal(p.publish_count, 1);
	assert_true(p.publish[0].udp);
	AUTO_JSON w = switch_port_json(&p);
	AUTO_FREE char *text = json_text(w);
	AUTO_JSON x = parse(text);
	struct switch_port again CLEANUP(switch_port_release) = { 0 };
	assert_ok(err, switch_port_parse(x, &again, &err));
	assert_int_equal(again.publish[0].guest_port, 53);
	assert_memory_equal(again.mac, p.mac, 6);
}

TEST(port_refuses)
{
	static const char *const bad[] = {
		PORT("..", "02:c7:0a:4d:00:0a", ""),
		PORT("a/b", "02:c7:0a:4d:00:0a", ""),
		PORT("", "02:c7:0a:4d:00:0a", ""),
		PORT("a b", "02:c7:0a:4d:00:0a", ""),
		PORT("web", "ff:ff:ff:ff:ff:ff", ""),
		PORT("web", "02:c7:0a:4d:00:0a", FORWARD("65536", "53")),
		PORT("web", "02:c7:0a:4d:00:0a", FORWARD("1", "0")),
		PORT("web", "02:c7:0a:4d:00:0a", "7"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_ERROR err = ERROR_INIT;
		struct switch_port p = { 0 };
		AUTO_JSON v = parse(bad[i]);
		assert_error(err, E_INVALID, switch_port_parse(v, &p, &err));
	}
}

/* Lines of /proc/net/tcp and tcp6 of a little-endian machine, as the kernel writes them. */
static const char tcp[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
			  "retrnsmt   uid  timeout inode\n"
			  "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 "
			  "00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n"
			  "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 "
			  "00000000     0        0 4712 1 0000000000000000 100 0 0 10 0\n"
			  "   2: 0100007F:1F91 0100007F:A000 01 00000000:00000000 00:00000000 "
			  "00000000     0        0 4713 1 0000000000000000 100 0 0 10 0\n";
static const char tcp6[] = "   0: 00000000000000000000000000000000:1F92 "
			   "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 "
			   "00000000     0        0 4714 1 0000000000000000 100 0 0 10 0\n"
			   "   1: 00000000000000000000000001000000:1F93 "
			   "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 "
			   "00000000     0        0 4715 1 0000000000000000 100 0 0 10 0\n"
			   "   2: 0000000000000000FFFF00000100007F:1F94 "
			   "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 "
			   "00000000     0        0 4716 1 0000000000000000 100 0 0 10 0\n";

static uint64_t inode(const char *list, uint32_t address, uint16_t port)
{
	return host_port_inode(list, strlen(list), (struct in_addr){ htonl(address) }, port, false);
}

TEST(host_port_is_found)
{
	const uint32_t loopback = 0x7f000001, other = 0x7f000002;
	assert_int_equal(inode(tcp, loopback, 8080), 4711);
	assert_int_equal(inode(tcp, other, 8080), 0);
	assert_int_equal(inode(tcp, 0, 8080), 4711); /* all addresses collide with one */
	assert_int_equal(inode(tcp, other, 80), 4712);
	assert_int_equal(inode(tcp, loopback, 8081), 0); /* a connection is no listener */
	assert_int_equal(inode(tcp6, loopback, 8082), 4714);
	assert_int_equal(inode(tcp6, loopback, 8083), 0);    /* ::1 */
	assert_int_equal(inode(tcp6, loopback, 8084), 4716); /* ::ffff:127.0.0.1 */
	assert_int_equal(inode("garbage\n\n0:", loopback, 8080), 0);
}
