/* SPDX-License-Identifier: MIT */
/* An agent that means harm, for a real machine: process 1 of an initramfs, in the place of vminitd.
 */
/*
 * The kernel's command line says how ("hostile=MODE"):
 *
 *	garbage   random bytes for ever
 *	stall     says hello, then half of a frame
 *	hose      says hello again and again, and logs for ever, also on the console
 *	overrun   starts well; an exec gets more output than it has credit for
 *	liar      starts well; then every frame there is about processes and requests that are none
 *of its, answers that are not what was asked for, files with names that lead elsewhere, a main
 *process that writes as fast as it may, and no end when it is told to end
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	HELLO = 2,
	SETUP = 3,
	DONE = 4,
	ERROR = 5,
	SPAWN = 16,
	STARTED = 17,
	DATA = 19,
	END_OF_FILE = 20,
	CREDIT = 21,
	EXITED = 24,
	LOG = 32,
	STATS = 45,
	STATS_REPLY = 46,
	TOP = 49,
	TOP_REPLY = 50,
	COPY = 96,
	STREAM_MAIN = 1,
	PAYLOAD_MAX = 256 * 1024,
	DATA_MAX = 32 * 1024 - 12,
};

struct frame {
	uint32_t size, stream;
	uint16_t type, channel;
	uint8_t payload[PAYLOAD_MAX];
};

static int port = -1;
static uint64_t dice = 88172645463325252U;
static uint32_t credit; /* of the main process's output, once it has started */

static uint32_t roll(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 16);
}

static void fill(uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)roll();
}

static void put32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_all(const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t n = write(port, at, size < 32768 ? size : 32768);

		if (n <= 0)
			continue; /* whoever listens ends the machine */
		at += n;
		size -= (size_t)n;
	}
}

static void send_frame(uint16_t type, uint16_t channel, uint32_t stream, const void *payload,
		       uint32_t size)
{
	uint8_t header[12];

	put32(header, size);
	header[4] = (uint8_t)(type >> 8);
	header[5] = (uint8_t)type;
	header[6] = (uint8_t)(channel >> 8);
	header[7] = (uint8_t)channel;
	put32(header + 8, stream);
	write_all(header, sizeof(header));
	if (size > 0)
		write_all(payload, size);
}

static void send_number(uint16_t type, uint16_t channel, uint32_t stream, uint32_t number)
{
	uint8_t payload[4];

	put32(payload, number);
	send_frame(type, channel, stream, payload, sizeof(payload));
}

static void send_exited(uint32_t stream, uint32_t code)
{
	uint8_t payload[5] = { 0 };

	put32(payload, code);
	send_frame(EXITED, 0, stream, payload, sizeof(payload));
}

static void send_text(uint16_t type, uint32_t stream, uint32_t number, const char *text)
{
	uint8_t payload[4096];
	uint32_t size = (uint32_t)strlen(text);

	put32(payload, number);
	put32(payload + 4, size);
	memcpy(payload + 8, text, size);
	send_frame(type, 0, stream, payload, 8 + size);
}

static void read_all(uint8_t *at, size_t size)
{
	while (size > 0) {
		ssize_t n = read(port, at, size);

		if (n <= 0) {
			(void)poll(NULL, 0, 10);
			continue;
		}
		at += n;
		size -= (size_t)n;
	}
}

/* The host's frames, whose markers are left out. */
static void receive(struct frame *f)
{
	uint8_t header[12], rest[4];

	read_all(header, sizeof(header));
	while (get32(header) == UINT32_MAX) {
		read_all(rest, sizeof(rest));
		read_all(header, sizeof(header));
	}
	f->size = get32(header);
	f->type = (uint16_t)(header[4] << 8 | header[5]);
	f->channel = (uint16_t)(header[6] << 8 | header[7]);
	f->stream = get32(header + 8);
	read_all(f->payload, f->size <= PAYLOAD_MAX ? f->size : 0);
}

/* Of another ctrz, older or newer. */
static uint32_t version = 3;

static void say_hello(void)
{
	static const uint8_t marker[16] = "\xff\xff\xff\xff"
					  "ctrz-frames\n";
	/* version, nonce, the host's nonce, release, time, set up, main */
	uint8_t hello[4 + 8 + 8 + 4 + 8 + 1 + 4] = { 0 };

	put32(hello, version);
	hello[11] = 1;
	write_all(marker, sizeof(marker));
	/* All but the version may have another form in a newer one. */
	send_frame(HELLO, 0, 0, hello, version > 3 ? 5 : sizeof(hello));
}

static void garbage(void)
{
	uint8_t noise[4096];

	for (;;) {
		fill(noise, sizeof(noise));
		write_all(noise, sizeof(noise));
	}
}

static void stall(void)
{
	static struct frame f;
	uint8_t header[12] = { 0, 3, 255, 255, 0, DATA, 0, 1, 0, 0, 0, STREAM_MAIN };

	say_hello();
	do
		receive(&f);
	while (f.type != SETUP);
	write_all(header, sizeof(header));
	for (;;)
		(void)pause();
}

static void hose(void)
{
	char text[1000];
	int console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (;;) {
		say_hello();
		for (int i = 0; i < 100; i++)
			send_text(LOG, 0, roll() % 4, text);
		if (console >= 0 && write(console, text, sizeof(text) - 1) < 0)
			(void)poll(NULL, 0, 1);
	}
}

static void overrun(uint32_t stream)
{
	uint8_t data[DATA_MAX] = { 0 };

	send_number(STARTED, 0, stream, 2);
	for (;;)
		send_frame(DATA, 1, stream, data, sizeof(data));
}

/* About processes and requests that are others', or nobody's. */
static void claim(void)
{
	static const uint16_t types[] = { DONE,   ERROR, STARTED, 18,    DATA, END_OF_FILE, CREDIT,
					  EXITED, LOG,   34,      37,    46,   50,          53,
					  54,     72,    80,      12345, 65535 };
	uint8_t payload[600];

	for (int i = 0; i < 4000; i++) {
		uint32_t size = roll() % sizeof(payload);
		/* Not the main process's, nor of those that clients have. */
		uint32_t stream = 100000 + roll() % 100000;

		fill(payload, size);
		/* The log is read whatever its stream, and must be whole. */
		if (types[(unsigned)i % 19] != LOG && types[(unsigned)i % 19] != 34)
			send_frame(types[(unsigned)i % 19], (uint16_t)(roll() % 5), stream, payload,
				   size);
	}
}

/* One entry of a copy: kind, name, mode, owner, size, time, link, number, attributes; as frames
 * within the data. */
static size_t add_entry(uint8_t *at, uint32_t kind, const char *name, const char *link)
{
	uint8_t body[1024] = { 0 };
	uint32_t n = 0, name_size = (uint32_t)strlen(name), link_size = (uint32_t)strlen(link);

	put32(body, kind);
	put32(body + 4, name_size);
	memcpy(body + 8, name, name_size);
	n = 8 + name_size;
	put32(body + n, 0644);
	n += 4 + 4 + 4 + 8 + 8 + 4;
	put32(body + n, link_size);
	memcpy(body + n + 4, link, link_size);
	n += 4 + link_size + 4 + 4; /* no number, no attributes */
	memset(at, 0, 12);
	put32(at, n);
	at[5] = 1;
	memcpy(at + 12, body, n);
	return 12 + n;
}

/* Each copy tries another way out of the folder it is for. */
static void send_files(uint32_t stream)
{
	static const struct {
		uint32_t kind;
		const char *name, *link;
	} tricks[] = { { 0, "../escaped", "" },
		       { 0, "/tmp/ctrz-escaped", "" },
		       { 0, "a/../../escaped", "" },
		       { 1, "..", "" },
		       { 2, "../escaped", "/" },
		       { 0, "", "" },
		       { 0, ".", "" } };
	static unsigned count;
	uint8_t data[2048];
	size_t size = add_entry(data, 1, "top", "");

	/* A link that a later name might be followed through, then the trick. */
	size += add_entry(data + size, 2, "link", "/tmp");
	size += add_entry(data + size, tricks[count % 7].kind, tricks[count % 7].name,
			  tricks[count % 7].link);
	count++;
	send_number(STARTED, 0, stream, 2);
	send_frame(DATA, 1, stream, data, (uint32_t)size);
	send_exited(stream, 0);
}

static void write_much(void)
{
	static uint8_t data[DATA_MAX];

	memset(data, 'y', sizeof(data));
	for (size_t i = 199; i < sizeof(data); i += 200)
		data[i] = '\n';
	while (credit >= sizeof(data)) {
		send_frame(DATA, 1, STREAM_MAIN, data, sizeof(data));
		credit -= sizeof(data);
	}
}

static void on_spawn(const struct frame *f, const char *mode)
{
	if (f->stream == STREAM_MAIN) {
		send_number(STARTED, 0, f->stream, 1);
		credit = 256 * 1024;
	} else if (strcmp(mode, "die") == 0) {
		_exit(1);
	} else if (strcmp(mode, "overrun") == 0) {
		overrun(f->stream);
	} else {
		claim();
		send_number(STARTED, 0, f->stream, 2);
		claim();
		send_frame(DATA, 1, f->stream, "hello\n", 6);
		send_exited(f->stream, 7);
	}
}

static void behave(const char *mode)
{
	static struct frame f;
	uint8_t noise[64];

	say_hello();
	for (;;) {
		receive(&f);
		fill(noise, sizeof(noise));
		if (f.type == SETUP || f.type == 60 || f.type == 44)
			send_frame(DONE, 0, f.stream, NULL, 0);
		else if (f.type == SPAWN)
			on_spawn(&f, mode);
		else if (f.type == COPY)
			send_files(f.stream);
		else if (f.type == STATS)
			send_frame(STATS_REPLY, 0, f.stream, noise, sizeof(noise));
		else if (f.type == TOP)
			send_frame(STATS_REPLY, 0, f.stream, noise, sizeof(noise));
		else if (f.type == CREDIT && f.stream == STREAM_MAIN && f.channel == 1)
			credit += get32(f.payload);
		if (strcmp(mode, "liar") == 0)
			write_much();
	}
}

static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (names[i]->d_name[0] != '.' && fd >= 0)
			(void)syscall(SYS_finit_module, fd, "", 0);
	}
}

static void open_port(void)
{
	char name[64], path[320];
	struct dirent *e;

	while (port < 0) {
		DIR *dir = opendir("/sys/class/virtio-ports");

		while (dir && (e = readdir(dir))) {
			(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
				       e->d_name);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);

			if (fd >= 0)
				(void)close(fd);
			name[n > 0 ? n : 0] = '\0';
			(void)snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			if (strncmp(name, "ctrz.0", 6) == 0)
				port = open(path, O_RDWR | O_CLOEXEC);
		}
		if (dir)
			(void)closedir(dir);
		(void)poll(NULL, 0, 10);
	}
}

int main(void)
{
	const char *mode = getenv("hostile"); /* the kernel makes it a variable */

	(void)mkdir("/dev", 0755);
	(void)mkdir("/sys", 0755);
	(void)mount("dev", "/dev", "devtmpfs", 0, NULL);
	(void)mount("sys", "/sys", "sysfs", 0, NULL);
	load_modules();
	open_port();
	if (!mode || strcmp(mode, "garbage") == 0)
		garbage();
	else if (strcmp(mode, "stall") == 0)
		stall();
	else if (strcmp(mode, "hose") == 0)
		hose();
	else if (strcmp(mode, "older") == 0)
		version--;
	else if (strcmp(mode, "newer") == 0)
		version++;
	behave(mode);
}
