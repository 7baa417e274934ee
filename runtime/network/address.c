/* SPDX-License-Identifier: MIT */
/* Subnets, leases and MAC addresses. */
#include "runtime/network/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

enum { ROUTES_MAX_BYTES = 4 << 20, ROUTE_FLAG_UP = 1 };

static uint32_t prefix_mask(unsigned prefix)
{
	return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

static uint32_t subnet_low(const struct subnet *s)
{
	return ntohl(s->base.s_addr);
}

static bool is_host_range(uint32_t a)
{
	uint32_t top = a >> 24;
	return top != 0 && top != 127 && top < 224 && a >> 16 != (169U << 8 | 254);
}

int subnet_parse(const char *text, struct subnet *ret, struct error *err)
{
	const char *slash = strchr(text, '/');
	AUTO_FREE char *shown = text_escaped(text);
	char quad[ADDRESS_TEXT_SIZE];
	struct in_addr base;
	uint64_t prefix;
	size_t quad_size = slash ? (size_t)(slash - text) : 0;

	if (!slash || quad_size >= sizeof(quad))
		return error_set(err, E_INVALID, "'%s' is no subnet; write one like 10.77.0.0/24",
				 shown);
	memcpy(quad, text, quad_size);
	quad[quad_size] = '\0';
	if (!address_parse(quad, &base) || !parse_u64(slash + 1, 32, &prefix))
		return error_set(err, E_INVALID, "'%s' is no subnet; write one like 10.77.0.0/24",
				 shown);
	if (prefix < SUBNET_PREFIX_MIN || prefix > SUBNET_PREFIX_MAX)
		return error_set(err, E_INVALID, "subnet '%s': the prefix must be /%d to /%d",
				 shown, SUBNET_PREFIX_MIN, SUBNET_PREFIX_MAX);
	struct subnet s = { .base = base, .prefix = (unsigned)prefix };
	uint32_t low = subnet_low(&s), cut = low & prefix_mask(s.prefix);
	if (low != cut) {
		s.base.s_addr = htonl(cut);
		AUTO_FREE char *better = subnet_text(&s);
		return error_set(err, E_INVALID, "subnet '%s' has host bits set; write %s", shown,
				 better);
	}
	if (!is_host_range(low))
		return error_set(
			err, E_INVALID,
			"subnet '%s' lies in a reserved range; use a private one like 10.77.0.0/24",
			shown);
	*ret = s;
	return 0;
}

char *subnet_text(const struct subnet *s)
{
	char quad[ADDRESS_TEXT_SIZE];
	address_text(s->base, quad);
	return xasprintf("%s/%u", quad, s->prefix);
}

bool subnet_has(const struct subnet *s, struct in_addr address)
{
	return (ntohl(address.s_addr) & prefix_mask(s->prefix)) == subnet_low(s);
}

bool subnet_overlap(const struct subnet *a, const struct subnet *b)
{
	uint32_t mask = prefix_mask(a->prefix < b->prefix ? a->prefix : b->prefix);
	return (subnet_low(a) & mask) == (subnet_low(b) & mask);
}

struct in_addr subnet_address(const struct subnet *s, uint32_t n)
{
	return (struct in_addr){ .s_addr = htonl(subnet_low(s) + n) };
}

struct in_addr subnet_gateway(const struct subnet *s)
{
	return subnet_address(s, 1);
}

struct in_addr subnet_dns(const struct subnet *s)
{
	return subnet_address(s, 2);
}

struct in_addr subnet_mask(const struct subnet *s)
{
	return (struct in_addr){ .s_addr = htonl(prefix_mask(s->prefix)) };
}

struct in_addr subnet_broadcast(const struct subnet *s)
{
	return subnet_address(s, ~prefix_mask(s->prefix));
}

void subnet_list_add(struct subnet_list *l, struct subnet s)
{
	GROW_ARRAY(l->items, l->count, l->room);
	l->items[l->count++] = s;
}

void subnet_list_release(struct subnet_list *l)
{
	free(l->items);
	*l = SUBNET_LIST_INIT;
}

/* One line of /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ..., numbers
 * in hexadecimal, the addresses as the kernel's integers, that is in network byte order when stored
 * back. */
static void route_line_parse(const char *line, struct subnet_list *out)
{
	unsigned destination, gateway, flags, mask;
	if (sscanf(line, "%*63s %8x %8x %8x %*u %*u %*u %8x", &destination, &gateway, &flags,
		   &mask) != 4)
		return;
	if (!(flags & ROUTE_FLAG_UP) || mask == 0)
		return;
	uint32_t bits = ntohl(mask);
	unsigned prefix = (unsigned)__builtin_popcount(bits);
	if (bits != prefix_mask(prefix))
		return;
	subnet_list_add(
		out, (struct subnet){ .base = { .s_addr = destination & mask }, .prefix = prefix });
}

void host_routes_parse(const char *text, size_t size, struct subnet_list *out)
{
	const char *end = text + size;
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((eol ? eol : end) - text);
		char line[256];
		if (length < sizeof(line)) {
			memcpy(line, text, length);
			line[length] = '\0';
			route_line_parse(line, out);
		}
		text += length + 1;
	}
}

int host_routes_read(struct subnet_list *out, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	if (!file_exists("/proc/net/route"))
		return 0;
	int r = file_read("/proc/net/route", ROUTES_MAX_BYTES, &text, err);
	if (r < 0)
		return r;
	host_routes_parse(buffer_str(&text), text.size, out);
	return 0;
}

static bool is_taken(const struct subnet_list *taken, const struct subnet *s)
{
	for (size_t i = 0; i < taken->count; i++)
		if (subnet_overlap(&taken->items[i], s))
			return true;
	return false;
}

int subnet_pick(unsigned index, const struct subnet_list *taken, struct subnet *ret,
		struct error *err)
{
	enum { FIRST = 77, LAST = 127 };
	for (uint32_t second = FIRST; second <= LAST; second++) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t third = second == FIRST ? (index + i) % 256 : i;
			struct subnet s = { .base = { .s_addr = htonl(10U << 24 | second << 16 |
								      third << 8) },
					    .prefix = 24 };
			if (!is_taken(taken, &s)) {
				*ret = s;
				return 0;
			}
		}
	}
	return error_set(err, E_UNAVAILABLE,
			 "no free subnet: routes of this host cover 10.77.0.0 to 10.127.255.255; "
			 "give the network a subnet of its own in the spec");
}

const struct lease *lease_find(const struct lease_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_equal(l->items[i].name, name))
			return &l->items[i];
	return NULL;
}

static const struct lease *lease_of_address(const struct lease_list *l, struct in_addr address)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].address.s_addr == address.s_addr)
			return &l->items[i];
	return NULL;
}

static void lease_add(struct lease_list *l, const char *name, struct in_addr address)
{
	GROW_ARRAY(l->items, l->count, l->room);
	l->items[l->count++] = (struct lease){ .name = xstrdup(name), .address = address };
}

int lease_take(struct lease_list *l, const struct subnet *s, const char *name, struct in_addr *ret,
	       struct error *err)
{
	const struct lease *have = lease_find(l, name);
	if (have && subnet_has(s, have->address)) {
		*ret = have->address;
		return 0;
	}
	lease_drop(l, name);
	uint32_t last = ~prefix_mask(s->prefix) - 1;
	for (uint32_t n = SUBNET_FIRST_HOST; n <= last; n++) {
		struct in_addr address = subnet_address(s, n);
		if (lease_of_address(l, address))
			continue;
		lease_add(l, name, address);
		*ret = address;
		return 0;
	}
	AUTO_FREE char *text = subnet_text(s);
	return error_set(err, E_UNAVAILABLE,
			 "no free address for '%s': all %u of %s are taken; give the network a "
			 "larger subnet",
			 name, last - SUBNET_FIRST_HOST + 1, text);
}

int lease_claim(struct lease_list *l, const struct subnet *s, const char *name,
		struct in_addr address, struct error *err)
{
	char quad[ADDRESS_TEXT_SIZE];
	AUTO_FREE char *text = subnet_text(s);
	address_text(address, quad);
	if (!subnet_has(s, address))
		return error_set(err, E_INVALID,
				 "address %s of '%s' is outside the network's subnet %s", quad,
				 name, text);
	uint32_t n = ntohl(address.s_addr) - subnet_low(s);
	if (n <= 2 || address.s_addr == subnet_broadcast(s).s_addr)
		return error_set(
			err, E_INVALID,
			"address %s of '%s' is reserved in %s (base, gateway, DNS and broadcast)",
			quad, name, text);
	const struct lease *holder = lease_of_address(l, address);
	if (holder && !str_equal(holder->name, name))
		return error_set(err, E_CONFLICT, "address %s of '%s' is taken by '%s'", quad, name,
				 holder->name);
	if (holder)
		return 0;
	lease_drop(l, name);
	lease_add(l, name, address);
	return 0;
}

void lease_drop(struct lease_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!str_equal(l->items[i].name, name))
			continue;
		free(l->items[i].name);
		l->count--;
		memmove(&l->items[i], &l->items[i + 1], (l->count - i) * sizeof(l->items[0]));
		return;
	}
}

void lease_list_release(struct lease_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].name);
	free(l->items);
	*l = LEASE_LIST_INIT;
}

void mac_from_address(struct in_addr address, uint8_t ret_mac[6])
{
	ret_mac[0] = 0x02;
	ret_mac[1] = 0xc7;
	memcpy(ret_mac + 2, &address.s_addr, 4);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool mac_parse(const char *text, uint8_t ret_mac[6])
{
	uint8_t mac[6];
	unsigned all = 0;
	if (strlen(text) != MAC_TEXT_SIZE - 1)
		return false;
	for (size_t i = 0; i < sizeof(mac); i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		all |= mac[i];
	}
	if (all == 0 || mac[0] & 1)
		return false;
	memcpy(ret_mac, mac, sizeof(mac));
	return true;
}

void mac_text(const uint8_t mac[6], char out[MAC_TEXT_SIZE])
{
	(void)snprintf(out, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
}

bool address_parse(const char *text, struct in_addr *ret)
{
	return inet_pton(AF_INET, text, ret) == 1;
}

void address_text(struct in_addr address, char out[ADDRESS_TEXT_SIZE])
{
	(void)inet_ntop(AF_INET, &address, out, ADDRESS_TEXT_SIZE);
}
