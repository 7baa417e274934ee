/* SPDX-License-Identifier: MIT */
/* Prints, one a line, what a process sees that must not be the same in two machines: what the
 * kernel's generator gives, where it lies in its memory, and what TCP numbers its connections by.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_PORT = 40000, CONNECTIONS = 4, TICK_NS = 64 };

static void print_bytes(const char *name, const uint8_t *data, size_t size)
{
	printf("%s ", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", data[i]);
	printf("\n");
}

/* A sequence number begins as a secret function of addresses and ports, plus the time. */
static uint32_t ticks(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint32_t)(((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec) / TICK_NS);
}

/* The sequence number of a connection that nobody takes, without its time; @ret_spread: by how much
 * that may be wrong. */
static int first_number(int raw, uint16_t port, uint32_t *ret, uint32_t *ret_spread)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in to = from;
	uint8_t packet[256];
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	from.sin_addr.s_addr = to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)(port + CONNECTIONS));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return -1;
	uint32_t before = ticks();
	(void)connect(fd, (struct sockaddr *)&to, sizeof(to)); /* refused */
	*ret_spread = ticks() - before;
	(void)close(fd);
	for (;;) {
		ssize_t n = recv(raw, packet, sizeof(packet), 0);
		struct tcphdr tcp;
		size_t at = (size_t)(packet[0] & 0xf) * 4;

		if (n < (ssize_t)(at + sizeof(tcp)))
			return -1;
		memcpy(&tcp, packet + at, sizeof(tcp));
		if (ntohs(tcp.source) == port && tcp.syn) {
			*ret = ntohl(tcp.seq) - before;
			return 0;
		}
	}
}

int main(void)
{
	uint8_t random[32];
	int here = 0;
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw < 0 || mapped == MAP_FAILED ||
	    getrandom(random, sizeof(random), 0) != sizeof(random))
		return EXIT_FAILURE;
	print_bytes("getrandom", random, sizeof(random));
	print_bytes("at_random", (const uint8_t *)getauxval(AT_RANDOM), 16);
	printf("mmap %p\nstack %p\nheap %p\nvdso %lx\n", mapped, (void *)&here, sbrk(0),
	       getauxval(AT_SYSINFO_EHDR));
	for (uint16_t i = 0; i < CONNECTIONS; i++) {
		uint32_t number = 0, spread = 0;

		if (first_number(raw, (uint16_t)(FIRST_PORT + i), &number, &spread) < 0)
			return EXIT_FAILURE;
		printf("tcp%d %u %u\n", i, number, spread);
	}
	return 0;
}
