/* SPDX-License-Identifier: MIT */
/* Network interfaces, found by MAC, set up without DHCP. */
#include <dirent.h>
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
	return (has_found_mac(n) && device_nic(n->found_mac, name, index)) ||
	       device_nic(n->mac, name, index);
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

/* An interface that was found. */
struct found {
	unsigned index;
	char name[DEVICE_PATH_MAX];
};

/* Step one: own MAC, and out of the way of the names that others are to get. virtio takes a MAC
 * while it is up; a name takes it down. */
static int prepare(int sock, const struct setup_nic *n, struct found *ret, struct error *err)
{
	char draft[16];

	if (!find(n, ret->name, &ret->index))
		return error_set(err, E_NOT_FOUND,
				 "there is no network interface with MAC "
				 "%02x:%02x:%02x:%02x:%02x:%02x",
				 n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
	struct link_change c = { .index = ret->index };
	c.mac = has_found_mac(n) ? n->mac : NULL;
	(void)snprintf(draft, sizeof(draft), "ctrz%u", ret->index);
	if (n->name[0] && !str_equal(n->name, ret->name)) {
		c.name = draft;
		c.set_up = true;
	}
	int r = c.mac || c.name ? rtnetlink_change_link(sock, &c, err) : 0;
	if (r == 0 && c.name)
		(void)snprintf(ret->name, sizeof(ret->name), "%s", draft);
	return r;
}

static void set_ipv6(const char *name, const char *key, const char *value)
{
	char path[128];
	AUTO_ERROR err = ERROR_INIT;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.64s/%s", name, key);
	if (access(path, F_OK) == 0 && sysfile_write(path, value, &err) < 0)
		error_ignore(&err, "set up IPv6");
}

static int configure(int sock, const struct setup_nic *n, const struct found *f, struct error *err)
{
	unsigned index = f->index;
	struct link_change c = { .index = index, .mtu = n->mtu };
	int r = 0;

	if (n->name[0] && !str_equal(n->name, f->name))
		c.name = n->name;
	if (c.mtu > 0 || c.name)
		r = rtnetlink_change_link(sock, &c, err);
	if (r < 0)
		return r;
	if (n->address6[0])
		set_ipv6(c.name ? c.name : f->name, "disable_ipv6", "0");
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
	struct found found[NICS_MAX];

	if (count > NICS_MAX)
		return error_set(err, E_INVALID, "%zu NICs are too many", count);
	AUTO_CLOSE int sock = rtnetlink_open(err);
	if (sock < 0)
		return sock;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = prepare(sock, &nics[i], &found[i], err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = configure(sock, &nics[i], &found[i], err);
	/* Another MAC, perhaps another name. */
	device_forget();
	return r;
}

void network_no_ipv6(void)
{
	AUTO_DIR DIR *dir = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *e;

	/* "default" is what interfaces get that come later. */
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || str_equal(e->d_name, "all") ||
		    str_equal(e->d_name, "lo"))
			continue;
		set_ipv6(e->d_name, "disable_ipv6", "1");
		set_ipv6(e->d_name, "accept_ra", "0");
		set_ipv6(e->d_name, "autoconf", "0");
	}
}

int network_rehearse(struct error *err)
{
	AUTO_CLOSE int sock = rtnetlink_open(err);
	unsigned index[8];
	size_t count = device_remembered_nics(index, ARRAY_SIZE(index));
	int r = sock < 0 ? sock : 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct link_change up = { .index = index[i], .set_up = true, .up = true };
		r = rtnetlink_change_link(sock, &up, err);
	}
	return r;
}
