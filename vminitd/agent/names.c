/* SPDX-License-Identifier: MIT */
/* resolv.conf and hosts as text. */
#include <string.h>

#include "vminitd/agent/names.h"

/* A value with a space or a line end in it would become other lines of the file. */
static int add_word(struct buffer *out, const char *separator, const char *word, const char *what,
		    struct error *err)
{
	size_t i = 0;

	while (word[i] > ' ' && word[i] < 0x7f && word[i] != '#')
		i++;
	if (i == 0 || word[i] != '\0')
		return error_set(err, E_INVALID, "%s '%s' is not one word of plain characters",
				 what, word);
	buffer_printf(out, "%s%s", separator, word);
	return 0;
}

static int add_line(struct buffer *out, const char *key, const struct strlist *words,
		    struct error *err)
{
	if (words->count == 0)
		return 0;
	buffer_add_str(out, key);
	for (size_t i = 0; i < words->count; i++)
		if (add_word(out, " ", words->items[i], key, err) < 0)
			return -E_INVALID;
	buffer_add_char(out, '\n');
	return 0;
}

int names_resolv_conf(const struct msg_names *n, struct buffer *out, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < n->dns_servers.count; i++) {
		r = add_word(out, "nameserver ", n->dns_servers.items[i], "name server", err);
		if (r < 0)
			return r;
		buffer_add_char(out, '\n');
	}
	r = add_line(out, "search", &n->dns_search, err);
	if (r == 0)
		r = add_line(out, "options", &n->dns_options, err);
	return r;
}

int names_hosts(const struct msg_names *n, const char *hostname, const char *address,
		struct buffer *out, struct error *err)
{
	int r = 0;

	buffer_add_str(out, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
	if (hostname && hostname[0]) {
		r = add_word(out, "", address && address[0] ? address : "127.0.1.1", "address",
			     err);
		if (r == 0)
			r = add_word(out, " ", hostname, "host name", err);
		buffer_add_char(out, '\n');
	}
	for (size_t i = 0; r == 0 && i < n->host_count; i++) {
		const struct setup_host *h = &n->hosts[i];
		r = add_word(out, "", h->address, "address", err);
		for (size_t k = 0; r == 0 && k < h->names.count; k++)
			r = add_word(out, " ", h->names.items[k], "host name", err);
		buffer_add_char(out, '\n');
	}
	return r;
}
