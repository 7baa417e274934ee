/* SPDX-License-Identifier: MIT */
/* Queries on their way to the host's resolvers. */
#include "runtime/network/dns_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "base/text.h"

/*
 * DOC: Theory of Operation
 *
 * Each query has a socket of its own, connected to the resolver, with a port the kernel chose and
 * an id we chose; a reply counts only if it comes from there, has the id and repeats the question.
 * After a while without one the next resolver is asked.
 */

enum {
	PENDING_MAX = 256,
	PENDING_PER_CLIENT = 64,
	QUERY_MAX = 4096,
	REPLY_SIZE_MAX = 65507,
	TRY_MS = 2000,
	ROUNDS = 2,
	RESOLV_CONF_MAX = 64 << 10,
	RESOLVER_PORT = 53,
};

struct pending {
	struct dns_relay *relay;
	struct pending *next;
	struct dns_client client;
	struct dns_query query; /* message points at our copy */
	uint8_t *message;       /* owned; with our id */
	size_t size;
	unsigned tries;
	int fd;
	struct loop_timer *timer;
};

struct dns_relay {
	struct loop *loop;
	char *path;
	dns_reply_fn fn;
	void *arg;
	struct resolvers resolvers;
	struct stat seen; /* of the file when it was read */
	struct pending *pending;
	uint8_t reply[REPLY_SIZE_MAX];
};

static bool parse_address(char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(RESOLVER_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(RESOLVER_PORT) };
	*ret = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(ret, &v4, sizeof(v4));
		return true;
	}
	char *scope = strchr(text, '%');
	if (scope) {
		*scope++ = '\0';
		v6.sin6_scope_id = if_nametoindex(scope);
	}
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
		return false;
	memcpy(ret, &v6, sizeof(v6));
	return true;
}

static void parse_line(const char *line, size_t length, struct resolvers *ret)
{
	static const char key[] = "nameserver";
	size_t at = sizeof(key) - 1;
	char text[80];
	if (length <= at || memcmp(line, key, at) != 0 || (line[at] != ' ' && line[at] != '\t'))
		return;
	while (at < length && (line[at] == ' ' || line[at] == '\t'))
		at++;
	size_t end = at;
	while (end < length && line[end] > ' ')
		end++;
	if (end - at >= sizeof(text) || ret->count == RESOLVERS_MAX)
		return;
	memcpy(text, line + at, end - at);
	text[end - at] = '\0';
	if (parse_address(text, &ret->items[ret->count]))
		ret->count++;
}

void resolvers_parse(const char *text, size_t size, struct resolvers *ret)
{
	const char *end = text + size;
	*ret = (struct resolvers){ 0 };
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((eol ? eol : end) - text);
		parse_line(text, length, ret);
		text += length + 1;
	}
}

static void read_resolvers(struct dns_relay *r)
{
	struct stat st;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	if (stat(r->path, &st) < 0)
		return;
	if (r->resolvers.count && st.st_ino == r->seen.st_ino && st.st_size == r->seen.st_size &&
	    st.st_mtim.tv_sec == r->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == r->seen.st_mtim.tv_nsec)
		return;
	if (file_read(r->path, RESOLV_CONF_MAX, &text, &err) < 0) {
		error_ignore(&err, "read the host's resolvers");
		return;
	}
	r->seen = st;
	resolvers_parse(buffer_str(&text), text.size, &r->resolvers);
}

struct dns_relay *dns_relay_new(struct loop *loop, const char *resolv_conf, dns_reply_fn fn,
				void *arg)
{
	struct dns_relay *r = xcalloc(1, sizeof(*r));
	r->loop = loop;
	r->path = xstrdup(resolv_conf);
	r->fn = fn;
	r->arg = arg;
	return r;
}

static void close_socket(struct pending *p)
{
	if (p->fd < 0)
		return;
	loop_unwatch(p->relay->loop, p->fd);
	(void)close(take_fd(&p->fd));
}

static void pending_free(struct pending *p)
{
	struct pending **at = &p->relay->pending;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	close_socket(p);
	loop_cancel(p->relay->loop, p->timer);
	free(p->message);
	free(p);
}

void dns_relay_free(struct dns_relay *r)
{
	if (!r)
		return;
	while (r->pending)
		pending_free(r->pending);
	free(r->path);
	free(r);
}

static void ask_next(void *arg);

static void on_reply(void *arg, uint32_t events)
{
	struct pending *p = arg;
	struct dns_relay *r = p->relay;
	(void)events;
	ssize_t n = recv(p->fd, r->reply, sizeof(r->reply), MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN) {
		loop_cancel(r->loop, p->timer);
		ask_next(p); /* "port unreachable" and the like */
		return;
	}
	if (n < DNS_HEADER || get_be16(r->reply) != get_be16(p->message) ||
	    !dns_is_reply(&p->query, r->reply, (size_t)n))
		return;
	put_be16(r->reply, p->query.id);
	r->fn(r->arg, p->client, r->reply, (size_t)n);
	pending_free(p);
}

static bool ask_one(struct pending *p, const struct sockaddr_storage *resolver)
{
	socklen_t size = resolver->ss_family == AF_INET ? sizeof(struct sockaddr_in)
							: sizeof(struct sockaddr_in6);
	p->fd = socket(resolver->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return false;
	if (connect(p->fd, (const struct sockaddr *)resolver, size) < 0 ||
	    send(p->fd, p->message, p->size, MSG_NOSIGNAL) < 0) {
		(void)close(take_fd(&p->fd));
		return false;
	}
	loop_watch(p->relay->loop, p->fd, EPOLLIN, on_reply, p);
	p->timer = loop_after(p->relay->loop, TRY_MS, ask_next, p);
	return true;
}

static void ask_next(void *arg)
{
	struct pending *p = arg;
	struct dns_relay *r = p->relay;
	p->timer = NULL;
	close_socket(p);
	while (p->tries < r->resolvers.count * ROUNDS) {
		const struct sockaddr_storage *resolver =
			&r->resolvers.items[p->tries++ % r->resolvers.count];
		random_bytes(p->message, 2);
		if (ask_one(p, resolver))
			return;
	}
	uint8_t answer[DNS_ANSWER_MAX];
	size_t size = dns_answer(&p->query, DNS_SERVFAIL, NULL, 0, answer);
	r->fn(r->arg, p->client, answer, size);
	pending_free(p);
}

static bool has_room(const struct dns_relay *r, struct dns_client client)
{
	size_t all = 0, own = 0;
	for (const struct pending *p = r->pending; p; p = p->next) {
		all++;
		own += p->client.address == client.address;
	}
	return all < PENDING_MAX && own < PENDING_PER_CLIENT;
}

void dns_relay_ask(struct dns_relay *r, struct dns_client client, const struct dns_query *q,
		   size_t size)
{
	if (size > QUERY_MAX || !has_room(r, client))
		return;
	read_resolvers(r);
	struct pending *p = xcalloc(1, sizeof(*p));
	*p = (struct pending){ .relay = r,
			       .next = r->pending,
			       .client = client,
			       .query = *q,
			       .size = size,
			       .fd = -1 };
	p->message = xmemdup(q->message, size);
	p->query.message = p->message;
	r->pending = p;
	ask_next(p);
}
