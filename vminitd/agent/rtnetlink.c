/* SPDX-License-Identifier: MIT */
/* rtnetlink requests, one at a time, each acknowledged. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "vminitd/agent/rtnetlink.h"

/* Aligned as the kernel reads it; the largest request of ours takes a fifth of it. */
union request {
	struct nlmsghdr header;
	char bytes[512];
};

int rtnetlink_open(struct error *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? error_sys(err, "open a route socket") : fd;
}

static void begin(union request *r, unsigned type, unsigned flags, const void *body, size_t size)
{
	memset(r, 0, sizeof(*r));
	r->header.nlmsg_type = (uint16_t)type;
	r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(r->bytes + NLMSG_HDRLEN, body, size);
}

static void add_attribute(union request *r, unsigned type, const void *data, size_t size)
{
	size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
	struct rtattr a = { .rta_type = (uint16_t)type, .rta_len = (uint16_t)(RTA_LENGTH(size)) };

	if (at + RTA_SPACE(size) > sizeof(*r))
		return;
	memcpy(r->bytes + at, &a, sizeof(a));
	memcpy(r->bytes + at + RTA_LENGTH(0), data, size);
	r->header.nlmsg_len = (uint32_t)(at + RTA_SPACE(size));
}

/* Send and take the acknowledgement. Return: 0 or an errno. */
static int perform(int sock, const union request *r)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	struct nlmsgerr result;

	if (send(sock, r, r->header.nlmsg_len, 0) < 0)
		return errno;
	ssize_t n;
	do {
		n = recv(sock, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(result)) || answer.header.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	memcpy(&result, answer.bytes + NLMSG_HDRLEN, sizeof(result));
	return -result.error;
}

static int perform_or_fail(int sock, const union request *r, const char *what, const char *value,
			   struct error *err)
{
	int number = perform(sock, r);

	/* An address or route that is there already is what was asked for. */
	if (number == 0 || (number == EEXIST && r->header.nlmsg_type != RTM_NEWLINK))
		return 0;
	errno = number;
	return error_sys(err, "%s %s", what, value);
}

int rtnetlink_change_link(int sock, const struct link_change *c, struct error *err)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC, .ifi_index = (int)c->index };
	union request r;

	if (c->set_up) {
		body.ifi_change = IFF_UP;
		body.ifi_flags = c->up ? IFF_UP : 0;
	}
	begin(&r, RTM_NEWLINK, 0, &body, sizeof(body));
	if (c->mtu > 0)
		add_attribute(&r, IFLA_MTU, &c->mtu, sizeof(c->mtu));
	if (c->mac)
		add_attribute(&r, IFLA_ADDRESS, c->mac, 6);
	if (c->name)
		add_attribute(&r, IFLA_IFNAME, c->name, strlen(c->name) + 1);
	return perform_or_fail(sock, &r, "change the network interface", c->name ? c->name : "",
			       err);
}

struct address {
	uint8_t family;
	uint8_t size;
	uint8_t bytes[16];
};

static int parse_address(const char *text, struct address *ret, struct error *err)
{
	*ret = (struct address){ .family = AF_INET, .size = 4 };
	if (inet_pton(AF_INET, text, ret->bytes) == 1)
		return 0;
	*ret = (struct address){ .family = AF_INET6, .size = 16 };
	if (inet_pton(AF_INET6, text, ret->bytes) == 1)
		return 0;
	return error_set(err, E_INVALID, "'%s' is not an IP address", text);
}

int rtnetlink_add_address(int sock, unsigned index, const char *address, uint32_t prefix,
			  struct error *err)
{
	struct address a;
	union request r;
	int n = parse_address(address, &a, err);

	if (n < 0)
		return n;
	if (prefix > a.size * 8U)
		return error_set(err, E_INVALID, "prefix /%u of %s is too long", prefix, address);
	struct ifaddrmsg body = { .ifa_family = a.family,
				  .ifa_prefixlen = (uint8_t)prefix,
				  .ifa_flags = IFA_F_PERMANENT,
				  .ifa_index = index };
	/* Duplicate address detection would keep an IPv6 address from use for a second. */
	if (a.family == AF_INET6)
		body.ifa_flags |= IFA_F_NODAD;
	begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
	add_attribute(&r, IFA_LOCAL, a.bytes, a.size);
	add_attribute(&r, IFA_ADDRESS, a.bytes, a.size);
	if (a.family == AF_INET && prefix < 31) {
		uint32_t host = htonl(prefix == 0 ? UINT32_MAX : UINT32_MAX >> prefix), v;
		memcpy(&v, a.bytes, sizeof(v));
		v |= host;
		add_attribute(&r, IFA_BROADCAST, &v, sizeof(v));
	}
	return perform_or_fail(sock, &r, "set address", address, err);
}

int rtnetlink_add_default_route(int sock, unsigned index, const char *gateway, struct error *err)
{
	struct address a;
	union request r;
	int n = parse_address(gateway, &a, err);

	if (n < 0)
		return n;
	struct rtmsg body = { .rtm_family = a.family,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_scope = RT_SCOPE_UNIVERSE,
			      .rtm_type = RTN_UNICAST,
			      .rtm_flags = RTNH_F_ONLINK };
	begin(&r, RTM_NEWROUTE, NLM_F_CREATE, &body, sizeof(body));
	add_attribute(&r, RTA_GATEWAY, a.bytes, a.size);
	add_attribute(&r, RTA_OIF, &index, sizeof(index));
	return perform_or_fail(sock, &r, "set the default route by", gateway, err);
}
