/* SPDX-License-Identifier: MIT */
/* The QMP reader on bytes, and the client against a peer of our own. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "runtime/machine/qmp.h"
#include "tests/unit/test.h"

static const char greeting[] = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

static int next(struct qmp_reader *r, struct qmp_message *m, struct error *err)
{
	*m = (struct qmp_message){ 0 };
	return qmp_reader_next(r, m, err);
}

TEST(reader_tells_the_four_kinds_apart)
{
	static const char text[] =
		"{\"QMP\": {}}\n"
		"{\"return\": {\"a\": 1}, \"id\": 7}\r\n"
		"\n"
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such\"}, \"id\": 8}\n"
		"{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n";
	static const struct {
		enum qmp_kind kind;
		const char *text;
		uint64_t id;
	} want[] = { { QMP_GREETING, "", 0 },
		     { QMP_RETURN, "", 7 },
		     { QMP_ERROR, "no such", 8 },
		     { QMP_EVENT, "SHUTDOWN", 0 } };
	struct qmp_reader r = { 0 };
	struct qmp_message m;
	AUTO_ERROR err = ERROR_INIT;
	size_t found = 0;

	/* Byte by byte: a message is complete exactly at its newline. */
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		qmp_reader_add(&r, text + i, 1);
		int got = next(&r, &m, &err);
		assert_true(got >= 0);
		if (got == 0)
			continue;
		assert_int_equal(text[i], '\n');
		assert_int_equal(m.kind, want[found].kind);
		assert_string_equal(m.text, want[found].text);
		assert_int_equal(m.id, want[found].id);
		qmp_message_release(&m);
		found++;
	}
	assert_int_equal(found, 4);
	qmp_reader_release(&r);
}

static void assert_refused(const char *text)
{
	struct qmp_reader r = { 0 };
	struct qmp_message m;
	AUTO_ERROR err = ERROR_INIT;

	qmp_reader_add(&r, text, strlen(text));
	assert_error(err, E_INTEGRITY, next(&r, &m, &err));
	qmp_reader_release(&r);
}

TEST(reader_refuses_what_qemu_would_not_send)
{
	assert_refused("hello\n");
	assert_refused("[]\n");
	assert_refused("{}\n");
	assert_refused("{\"return\": }\n");
	assert_refused("{\"error\": \"text\"}\n");
}

TEST(reader_bounds_a_line)
{
	struct qmp_reader r = { 0 };
	struct qmp_message m;
	AUTO_ERROR err = ERROR_INIT;
	char chunk[1024];

	memset(chunk, ' ', sizeof(chunk));
	for (size_t i = 0; i < QMP_LINE_MAX / sizeof(chunk); i++) {
		qmp_reader_add(&r, chunk, sizeof(chunk));
		assert_int_equal(next(&r, &m, &err), 0);
	}
	qmp_reader_add(&r, chunk, 1);
	assert_error(err, E_INTEGRITY, next(&r, &m, &err));
	qmp_reader_release(&r);
}

/* What the client told its owner. */
struct seen {
	struct strlist events, replies;
	char closed[200];
};

static void on_event(void *arg, const char *event, const struct json *data)
{
	struct seen *s = arg;
	strlist_printf(&s->events, "%s %s", event, json_str(data, "device", ""));
}

static void on_closed(void *arg, const char *why)
{
	struct seen *s = arg;
	(void)snprintf(s->closed, sizeof(s->closed), "%s", why ? why : "end");
}

static void on_reply(void *arg, const struct json *ret, const char *failure)
{
	struct seen *s = arg;
	strlist_printf(&s->replies, "%s%s", failure ? "failed: " : "ok ",
		       failure ? failure : json_str(ret, "status", ""));
}

struct fixture {
	struct loop *loop;
	struct qmp *qmp;
	int peer;
	struct seen seen;
};

static void set_up(struct fixture *f)
{
	int pair[2];

	*f = (struct fixture){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->loop = loop_new();
	f->peer = pair[1];
	f->qmp = qmp_new(f->loop, pair[0], on_event, on_closed, &f->seen);
}

static void tear_down(struct fixture *f)
{
	qmp_free(f->qmp);
	loop_free(f->loop);
	if (f->peer >= 0)
		(void)close(f->peer);
	strlist_release(&f->seen.events);
	strlist_release(&f->seen.replies);
}

static void say(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->peer, text, strlen(text)), (ssize_t)strlen(text));
	loop_turn(f->loop, 0);
}

/* What the client sent since last time, with the number of descriptors that came along. */
static size_t hear(struct fixture *f, char *text, size_t size)
{
	int fds[4];
	size_t count = 4;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(fd_set_nonblock(f->peer, true, &err), 0);
	ssize_t n = unix_recv(f->peer, text, size - 1, fds, &count, &err);
	error_clear(&err);
	text[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; n > 0 && i < count; i++)
		(void)close(fds[i]);
	return n > 0 ? count : 0;
}

TEST(client_waits_for_the_greeting_and_goes_one_by_one)
{
	struct fixture f;
	char text[512];

	set_up(&f);
	qmp_execute(f.qmp, "query-status", NULL, -1, on_reply, &f.seen);
	assert_int_equal(hear(&f, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	say(&f, greeting);
	(void)hear(&f, text, sizeof(text));
	assert_string_equal(text, "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	say(&f, "{\"return\": {}, \"id\": 1}\n");
	(void)hear(&f, text, sizeof(text));
	assert_string_equal(text, "{\"execute\":\"query-status\",\"id\":2}\n");
	say(&f, "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d0\"}}\n"
		"{\"return\": {\"status\": \"running\"}, \"id\": 2}\n");
	assert_int_equal(f.seen.events.count, 1);
	assert_string_equal(f.seen.events.items[0], "DEVICE_DELETED d0");
	assert_int_equal(f.seen.replies.count, 1);
	assert_string_equal(f.seen.replies.items[0], "ok running");
	assert_string_equal(f.seen.closed, "");
	tear_down(&f);
}

TEST(client_passes_descriptors_and_failures)
{
	struct fixture f;
	char text[512];
	struct json *arguments = json_new_object();

	set_up(&f);
	json_set_int(arguments, "fdset-id", 3);
	qmp_execute(f.qmp, "add-fd", arguments, dup(0), on_reply, &f.seen);
	say(&f, greeting);
	(void)hear(&f, text, sizeof(text));
	say(&f, "{\"return\": {}, \"id\": 1}\n");
	assert_int_equal(hear(&f, text, sizeof(text)), 1);
	assert_string_equal(text,
			    "{\"execute\":\"add-fd\",\"arguments\":{\"fdset-id\":3},\"id\":2}\n");
	say(&f, "{\"error\": {\"desc\": \"No file descriptor\"}, \"id\": 2}\n");
	assert_string_equal(f.seen.replies.items[0], "failed: No file descriptor");
	tear_down(&f);
}

/* Whether the event that ends the pause comes behind the answer or before it. */
static void pause_and_resume(bool early)
{
	struct fixture f;
	char text[512];

	set_up(&f);
	say(&f, greeting);
	(void)hear(&f, text, sizeof(text));
	say(&f, "{\"return\": {}, \"id\": 1}\n");
	qmp_execute(f.qmp, "migrate-incoming", NULL, -1, on_reply, &f.seen);
	qmp_pause(f.qmp);
	qmp_execute(f.qmp, "cont", NULL, -1, on_reply, &f.seen);
	(void)hear(&f, text, sizeof(text));
	if (early)
		qmp_resume(f.qmp, "it");
	say(&f, "{\"return\": {}, \"id\": 2}\n");
	assert_int_equal(f.seen.replies.count, 1);
	if (!early) {
		(void)hear(&f, text, sizeof(text));
		assert_string_equal(text, "");
		qmp_resume(f.qmp, "it");
	}
	(void)hear(&f, text, sizeof(text));
	assert_string_equal(text, "{\"execute\":\"cont\",\"id\":3}\n");
	tear_down(&f);
}

TEST(client_pauses_behind_a_command)
{
	pause_and_resume(false);
	pause_and_resume(true);
}

TEST(client_closes_on_a_broken_protocol_and_on_the_end)
{
	struct fixture f;

	set_up(&f);
	say(&f, greeting);
	say(&f, "{\"return\": {}, \"id\": 99}\n");
	assert_string_equal(f.seen.closed, "QEMU answered a command that was not given");
	tear_down(&f);
	set_up(&f);
	say(&f, "nonsense\n");
	assert_non_null(strstr(f.seen.closed, "QEMU's answer"));
	tear_down(&f);
	set_up(&f);
	(void)close(f.peer);
	f.peer = -1;
	loop_turn(f.loop, 0);
	assert_string_equal(f.seen.closed, "end");
	tear_down(&f);
}
