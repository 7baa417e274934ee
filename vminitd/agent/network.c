/* SPDX-License-Identifier: MIT */
/* Network interfaces, found by MAC, set up without DHCP. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/network.h"
#include "vminitd/agent/rtnetlink.h"
#include "vminitd/agent/sysfile.h"

static bool has_found_mac(const struct setup_nic *n)
{
	static const uint8_t none[6];

	return memcmp(n->found_mac, none, sizeof(none)) != 0;
}

static bool find(const struct setup_nic *n, char name[DEVICE_PATH_MAX], unsigned *index)
{
	return device_nic(n->mac, name, index) ||
	       (has_found_mac(n) && device_nic(n->found_mac, name, index));
}

bool network_has_nic(const struct setup_nic *n)
{
	char name[DEVICE_PATH_MAX];
	unsigned index;

	return find(n, name, &index);
}

int network_loopback(struct error *err)
{
	AUTO_CLOSE int sock = rtnetlink_open(err);

	if (sock < 0)
		return sock;
	/* Index 1 in every network namespace. */
	struct link_change up = { .index = 1, .set_up = true, .up = true };
	return rtnetlink_change_link(sock, &up, err);
}

/* Step one: down, own MAC, and out of the way of the names that others are to get. */
static int prepare(int sock, const struct setup_nic *n, unsigned *index, struct error *err)
{
	char name[DEVICE_PATH_MAX], draft[16];

	if (!find(n, name, index))
		return error_set(err, E_NOT_FOUND,
				 "there is no network interface with MAC "
				 "%02x:%02x:%02x:%02x:%02x:%02x",
				 n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
	struct link_change c = { .index = *index, .set_up = true };
	c.mac = has_found_mac(n) ? n->mac : NULL;
	(void)snprintf(draft, sizeof(draft), "ctrz%u", *index);
	if (n->name[0] && !str_equal(n->name, name))
		c.name = draft;
	return rtnetlink_change_link(sock, &c, err);
}

/* No router of the network may give the container further addresses. */
static void no_autoconf(const char *name)
{
	static const char *const keys[] = { "accept_ra", "autoconf" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char path[128];
		AUTO_ERROR err = ERROR_INIT;
		(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, keys[i]);
		if (access(path, F_OK) == 0 && sysfile_write(path, "0", &err) < 0)
			error_ignore(&err, "switch IPv6 autoconfiguration off");
	}
}

static int configure(int sock, const struct setup_nic *n, unsigned index, struct error *err)
{
	char name[DEVICE_PATH_MAX];
	struct link_change c = { .index = index, .mtu = n->mtu };
	int r = 0;

	if (!find(n, name, &index))
		return error_set(err, E_NOT_FOUND, "the network interface went away");
	if (n->name[0] && !str_equal(n->name, name))
		c.name = n->name;
	if (c.mtu > 0 || c.name)
		r = rtnetlink_change_link(sock, &c, err);
	if (r < 0)
		return r;
	no_autoconf(c.name ? c.name : name);
	struct link_change up = { .index = index, .set_up = true, .up = true };
	r = rtnetlink_change_link(sock, &up, err);
	if (r == 0 && n->address[0])
		r = rtnetlink_add_address(sock, index, n->address, n->prefix, err);
	if (r == 0 && n->address6[0])
		r = rtnetlink_add_address(sock, index, n->address6, n->prefix6, err);
	if (r == 0 && n->gateway[0])
		r = rtnetlink_add_default_route(sock, index, n->gateway, err);
	if (r == 0 && n->gateway6[0])
		r = rtnetlink_add_default_route(sock, index, n->gateway6, err);
	return r;
}

int network_configure(const struct setup_nic *nics, size_t count, struct error *err)
{
	enum { NICS_MAX = 64 };
	unsigned index[NICS_MAX];

	if (count > NICS_MAX)
		return error_set(err, E_INVALID, "%zu NICs are too many", count);
	AUTO_CLOSE int sock = rtnetlink_open(err);
	if (sock < 0)
		return sock;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = prepare(sock, &nics[i], &index[i], err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = configure(sock, &nics[i], index[i], err);
	return r;
}
