/* SPDX-License-Identifier: MIT */
/* Records, the store, the lock and the journal on real folders. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "orchestrator/state/env_lock.h"
#include "orchestrator/state/env_log.h"
#include "orchestrator/state/env_store.h"
#include "orchestrator/state/journal.h"
#include "tests/unit/orchestrator/scratch.h"
#include "tests/unit/test.h"

static struct in_addr address_of(const char *text)
{
	struct in_addr a;

	assert_true(address_parse(text, &a));
	return a;
}

static void make_env(const struct scratch *s, const char *file, const char *name,
		     struct env_record *ret)
{
	AUTO_ERROR err = ERROR_INIT;
	struct container_record *c;

	assert_ok(err, env_store_create(file, name, ret, &err));
	c = env_record_add_container(ret, "web");
	c->stage = STAGE_MADE;
	c->image = xstrdup("docker.io/library/busybox:latest");
	c->spec = xstrdup("{\"image\":\"busybox\"}");
	c->memory_bytes = 512 << 20;
	container_record_set_address(c, "default", address_of("10.77.1.10"));
	assert_ok(err, subnet_parse("10.77.1.0/24", &env_record_add_network(ret, "default")->subnet,
				    &err));
	assert_ok(err, env_store_write(&s->paths, ret, &err));
}

TEST(record_survives_the_disk)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD b = { 0 };
	AUTO_JSON ja = NULL;
	AUTO_JSON jb = NULL;
	AUTO_FREE char *file = NULL;
	AUTO_FREE char *ta = NULL;
	AUTO_FREE char *tb = NULL;

	scratch_make(&s);
	file = scratch_write(&s, "env.yaml", "containers: {}\n");
	make_env(&s, file, "shop", &a);
	assert_int_equal(a.serial, 1);
	assert_ok(err, env_store_read(&s.paths, a.id, &b, &err));
	ja = env_record_to_json(&a);
	jb = env_record_to_json(&b);
	ta = json_text(ja);
	tb = json_text(jb);
	assert_string_equal(ta, tb);
	assert_true(env_record_is_up(&b));
	scratch_remove(&s);
}

static void assert_on_disk(const struct scratch *s, const struct env_record *r)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_ENV_RECORD read = { 0 };
	AUTO_JSON a = env_record_to_json(r);
	AUTO_JSON b = NULL;

	assert_ok(err, env_store_read(&s->paths, r->id, &read, &err));
	b = env_record_to_json(&read);
	AUTO_FREE char *ta = json_text(a), *tb = json_text(b);
	assert_string_equal(ta, tb);
	assert_int_equal(read.log_bytes, r->log_bytes);
	assert_true(env_store_is_current(&s->paths, &read));
}

static void assert_noted(const struct scratch *s, struct env_record *r, enum record_part part,
			 const char *name)
{
	AUTO_ERROR err = ERROR_INIT;
	uint64_t serial = r->serial;

	assert_ok(err, env_store_note(&s->paths, r, part, name, &err));
	assert_int_equal(r->serial, serial + 1);
	assert_on_disk(s, r);
}

TEST(notes_are_part_of_the_record)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD seen = { 0 };
	AUTO_BUFFER log = BUFFER_INIT;
	AUTO_FREE char *file = NULL;
	AUTO_FREE char *path = NULL;
	struct container_record *c;

	scratch_make(&s);
	file = scratch_write(&s, "env.yaml", "a");
	make_env(&s, file, "shop", &a);
	path = env_store_path(&s.paths, a.id, STATE_LOG_NAME);
	env_record_add_network(&a, "back");
	assert_noted(&s, &a, RECORD_NETWORK, "back");
	env_record_add_volume(&a, "data")->size_bytes = 1 << 20;
	assert_noted(&s, &a, RECORD_VOLUME, "data");
	c = env_record_add_container(&a, "db");
	c->stage = STAGE_MAKING;
	container_record_set_address(c, "back", address_of("10.77.2.10"));
	assert_noted(&s, &a, RECORD_CONTAINER, "db");
	c = env_record_container(&a, "web");
	c->stage = STAGE_NONE;
	container_record_drop_address(c, "default");
	assert_noted(&s, &a, RECORD_CONTAINER, "web");
	env_record_drop_volume(&a, "data");
	assert_noted(&s, &a, RECORD_VOLUME, "data");
	env_record_drop_container(&a, "web");
	assert_noted(&s, &a, RECORD_CONTAINER, "web");
	env_record_drop_network(&a, "default");
	assert_noted(&s, &a, RECORD_NETWORK, "default");

	/* A line that was torn is none, and is not gone on behind. */
	assert_ok(err, file_read(path, 1 << 20, &log, &err));
	size_t whole = log.size;
	buffer_add_str(&log, "{\"serial\": 9, \"conta");
	assert_ok(err, file_write_atomic(path, log.data, log.size, 0600, &err));
	assert_ok(err, env_store_read(&s.paths, a.id, &seen, &err));
	assert_int_equal(seen.serial, a.serial);
	assert_noted(&s, &a, RECORD_CONTAINER, "db");

	/* One that was not removed is passed over, and never mixed with what follows. */
	assert_ok(err, env_store_write(&s.paths, &a, &err));
	assert_false(file_exists(path));
	assert_on_disk(&s, &a);
	assert_ok(err, file_write_atomic(path, log.data, whole, 0600, &err));
	env_record_release(&seen);
	assert_ok(err, env_store_read(&s.paths, a.id, &seen, &err));
	assert_int_equal(seen.serial, a.serial);
	assert_noted(&s, &a, RECORD_CONTAINER, "db");

	/* One that goes on from a record that is not there is no reason to guess. */
	a.serial += 2;
	assert_ok(err, env_store_note(&s.paths, &a, RECORD_CONTAINER, "db", &err));
	env_record_release(&seen);
	assert_int_equal(env_store_read(&s.paths, a.id, &seen, &err), -E_CONFLICT);
	scratch_remove(&s);
}

TEST(many_notes_are_folded_now_and_then)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_FREE char *file = NULL;
	size_t folds = 0;

	scratch_make(&s);
	file = scratch_write(&s, "env.yaml", "a");
	make_env(&s, file, "shop", &a);
	for (unsigned i = 0; i < 100; i++) {
		AUTO_FREE char *name = xasprintf("c%u", i);
		struct container_record *c = env_record_add_container(&a, name);

		c->image = xasprintf("%04096u", i); /* long, so that few will do: each is synced */
		assert_ok(err, env_store_note(&s.paths, &a, RECORD_CONTAINER, name, &err));
		folds += a.log_bytes == 0;
		assert_true(a.log_bytes <= a.state_bytes + 65536);
	}
	assert_on_disk(&s, &a);
	assert_true(folds > 0 && folds < 10);
	scratch_remove(&s);
}

TEST(a_file_is_found_by_path_then_by_inode)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD found = { 0 };
	AUTO_FREE char *file = NULL;
	AUTO_FREE char *moved_to = NULL;
	AUTO_FREE char *fresh = NULL;
	bool moved = true;

	scratch_make(&s);
	file = scratch_write(&s, "env.yaml", "a");
	make_env(&s, file, "shop", &a);
	assert_ok(err, env_store_find_file(&s.paths, file, &found, &moved, &err));
	assert_string_equal(found.id, a.id);
	assert_false(moved);
	env_record_release(&found);

	moved_to = path_join(s.root, "other.yaml");
	assert_int_equal(rename(file, moved_to), 0);
	assert_ok(err, env_store_find_file(&s.paths, moved_to, &found, &moved, &err));
	assert_string_equal(found.id, a.id);
	assert_true(moved);
	assert_int_equal(env_store_follow(&found, moved_to, &err), 1);
	assert_string_equal(found.file, moved_to);
	assert_int_equal(env_store_follow(&found, moved_to, &err), 0);
	env_record_release(&found);

	/* A new file at the old path takes the record back: editors save by renaming. */
	fresh = scratch_write(&s, "env.yaml", "b");
	assert_ok(err, env_store_find_file(&s.paths, fresh, &found, &moved, &err));
	assert_false(moved);
	env_record_release(&found);
	assert_error(err, E_NOT_FOUND, env_store_find_file(&s.paths, moved_to, &found, NULL, &err));
	scratch_remove(&s);
}

TEST(selection_by_name_id_prefix_and_only_one)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD b = { 0 };
	AUTO_ENV_RECORD found = { 0 };
	AUTO_FREE char *one = NULL;
	AUTO_FREE char *two = NULL;
	char prefix[5] = "";

	scratch_make(&s);
	assert_int_equal(chdir(s.root), 0);
	assert_error(err, E_NOT_FOUND, env_store_select(&s.paths, NULL, &found, &err));
	one = scratch_write(&s, "one.yaml", "a");
	two = scratch_write(&s, "two.yaml", "b");
	make_env(&s, one, "shop", &a);
	assert_ok(err, env_store_select(&s.paths, NULL, &found, &err));
	assert_string_equal(found.id, a.id);
	env_record_release(&found);

	make_env(&s, two, "shop", &b);
	assert_error(err, E_NOT_FOUND, env_store_select(&s.paths, NULL, &found, &err));
	assert_error(err, E_CONFLICT, env_store_select(&s.paths, "shop", &found, &err));
	assert_error(err, E_NOT_FOUND, env_store_select(&s.paths, "nope", &found, &err));
	memcpy(prefix, b.id, 4);
	assert_ok(err, env_store_select(&s.paths, prefix, &found, &err));
	assert_string_equal(found.id, b.id);
	env_record_release(&found);
	assert_ok(err, env_store_select(&s.paths, one, &found, &err));
	assert_string_equal(found.id, a.id);
	assert_int_equal(chdir("/"), 0);
	scratch_remove(&s);
}

TEST(damaged_state_is_refused_and_does_not_hide_others)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD b = { 0 };
	AUTO_ENV_LIST list = { 0 };
	AUTO_FREE char *one = NULL;
	AUTO_FREE char *two = NULL;
	AUTO_FREE char *state_file = NULL;

	scratch_make(&s);
	one = scratch_write(&s, "one.yaml", "a");
	two = scratch_write(&s, "two.yaml", "b");
	make_env(&s, one, "one", &a);
	make_env(&s, two, "two", &b);
	state_file = env_store_path(&s.paths, a.id, "state.json");
	assert_int_equal(truncate(state_file, 40), 0);
	env_record_release(&a);
	assert_ok(err, env_store_list(&s.paths, &list, &err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].name, "two");
	scratch_remove(&s);
}

static void reject_state(const char *text, enum error_code code)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	AUTO_ENV_RECORD r = { 0 };

	assert_ok(err, json_parse(text, strlen(text), 4096, "state", &v, &err));
	assert_int_equal(env_record_from_json(v, "state", &r, &err), -(int)code);
	assert_true(error_is_set(&err));
}

TEST(state_of_others_is_checked)
{
	reject_state("{}", E_INVALID);
	reject_state("{\"version\":3}", E_CONFLICT);
	reject_state("{\"version\":1,\"id\":\"../../../../x\",\"name\":\"a\",\"file\":\"/f\"}",
		     E_INVALID);
	reject_state("{\"version\":1,\"id\":\"abcdefghjkmn\",\"name\":\"a\"}", E_INVALID);
	reject_state("{\"version\":1,\"id\":\"abcdefghjkmn\",\"name\":\"a\",\"file\":\"/f\","
		     "\"containers\":{\"../x\":{\"run_id\":\"abcdefgh\"}}}",
		     E_INVALID);
	reject_state("{\"version\":1,\"id\":\"abcdefghjkmn\",\"name\":\"a\",\"file\":\"/f\","
		     "\"containers\":{\"x\":{\"run_id\":\"a/b\"}}}",
		     E_INVALID);
}

/* The text of @r with @from replaced by @to, parsed. */
static int parse_changed(const struct env_record *r, const char *from, const char *to,
			 struct env_record *ret, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT, changed = BUFFER_INIT;
	const char *at;

	env_record_print(r, &text);
	at = strstr(buffer_str(&text), from);
	assert_non_null(at);
	buffer_add(&changed, text.data, (size_t)(at - text.data));
	buffer_add_str(&changed, to);
	buffer_add_str(&changed, at + strlen(from));
	return env_record_parse(buffer_str(&changed), changed.size, "state", ret, err);
}

static void make_two(struct env_record *ret)
{
	*ret = (struct env_record){ .name = xstrdup("shop"), .file = xstrdup("/f") };
	random_id(ret->id, sizeof(ret->id));
	env_record_add_container(ret, "web")->spec = xstrdup("{\"image\":\"a\"}");
	env_record_add_container(ret, "db")->spec = xstrdup("{\"image\":\"b\"}");
}

TEST(each_container_has_a_line_and_any_other_form_is_read_too)
{
	static const char *const changes[][2] = {
		{ "\"id\"", "\"id\"" },                         /* nothing */
		{ "\n\"containers\":{\n", "\"containers\":{" }, /* not in lines */
		{ "{\n\"web\"", "{\n\n \"web\"" },
	};
	AUTO_ENV_RECORD a = { 0 };
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_JSON v = NULL;
	AUTO_ERROR err = ERROR_INIT;

	make_two(&a);
	env_record_print(&a, &text);
	assert_non_null(strstr(buffer_str(&text), "\n\"db\":{"));
	assert_ok(err, json_parse(text.data, text.size, text.size, "state", &v, &err));
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		AUTO_ENV_RECORD b = { 0 };

		assert_ok(err, parse_changed(&a, changes[i][0], changes[i][1], &b, &err));
		assert_int_equal(b.container_count, 2);
		assert_string_equal(b.containers[0].name, "web");
		assert_string_equal(b.containers[1].spec, "{\"image\":\"b\"}");
	}
}

TEST(lines_that_are_no_state_are_refused)
{
	static const char *const changes[][2] = {
		{ "}}\n", "" },                          /* cut off */
		{ "}}\n", "}}\n\n" },                    /* and more */
		{ "\"db\":", "\"web\":" },               /* twice */
		{ "\"db\":", "\"../db\":" },             /* no name */
		{ "\"db\":", "}, \"networks\": {" },     /* half a line of another */
		{ ",\n\"containers", "\n\"containers" }, /* that one is right */
	};
	AUTO_ENV_RECORD a = { 0 };

	make_two(&a);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		AUTO_ENV_RECORD b = { 0 };
		AUTO_ERROR err = ERROR_INIT;
		int r = parse_changed(&a, changes[i][0], changes[i][1], &b, &err);

		assert_int_equal(r, i + 1 < ARRAY_SIZE(changes) ? -E_INVALID : 0);
	}
}

TEST(a_whole_record_leaves_the_specs_out)
{
	AUTO_ENV_RECORD a = { 0 }, b = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	make_two(&a);
	a.is_whole = true;
	assert_ok(err, parse_changed(&a, "\"id\"", "\"id\"", &b, &err));
	assert_null(b.containers[0].spec);
}

TEST(a_killed_writer_leaves_the_old_state)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD b = { 0 };
	AUTO_FREE char *file = NULL;
	int status = 0;
	pid_t child;

	scratch_make(&s);
	file = scratch_write(&s, "env.yaml", "a");
	make_env(&s, file, "shop", &a);
	child = fork();
	if (child == 0) {
		for (;;) {
			int r = a.serial % 3 ? env_store_note(&s.paths, &a, RECORD_CONTAINER, "web",
							      &err)
					     : env_store_write(&s.paths, &a, &err);

			if (r < 0)
				_exit(1);
		}
	}
	/* Wait for a few writes, then kill it wherever it is. A reader never sees it go back. */
	for (uint64_t before = 0; b.serial < 20; before = b.serial) {
		env_record_release(&b);
		assert_ok(err, env_store_read(&s.paths, a.id, &b, &err));
		assert_true(b.serial >= before);
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	env_record_release(&b);
	assert_ok(err, env_store_read(&s.paths, a.id, &b, &err));
	assert_true(b.serial >= 20);
	assert_non_null(env_record_container(&b, "web"));
	scratch_remove(&s);
}

static void count_wait(void *arg, const struct lock_holder *holder)
{
	assert_int_equal(holder->pid, getppid());
	assert_string_equal(holder->command, "ctrz up");
	++*(int *)arg;
}

static int other_process_tries(const struct scratch *s, const char *id, uint64_t timeout_ms)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		AUTO_ERROR err = ERROR_INIT;
		int waits = 0;
		int fd = env_lock_take(&s->paths, id, "ctrz down", timeout_ms, count_wait, &waits,
				       &err);

		if (fd >= 0)
			_exit(waits ? 2 : 1);
		_exit(fd == -E_TIMEOUT && strstr(error_message(&err), "\"ctrz up\"") ? 3 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

TEST(lock_is_exclusive_and_names_its_holder)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	struct lock_holder holder = { 0 };
	AUTO_FREE char *text = NULL;
	int fd;

	scratch_make(&s);
	fd = env_lock_take(&s.paths, "abcdefghjkmn", "ctrz up", 0, NULL, NULL, &err);
	assert_true(fd >= 0);
	assert_int_equal(other_process_tries(&s, "abcdefghjkmn", 0), 3);
	assert_int_equal(other_process_tries(&s, "abcdefghjkmn", 30), 3);
	env_lock_release(&s.paths, "abcdefghjkmn", &fd);
	assert_int_equal(fd, -1);
	assert_int_equal(other_process_tries(&s, "abcdefghjkmn", 0), 1);
	assert_error(err, E_NOT_FOUND, env_lock_holder(&s.paths, "abcdefghjkmn", &holder, &err));
	text = lock_holder_text(&holder);
	assert_string_equal(text, "another process");
	scratch_remove(&s);
}

TEST(lock_of_a_killed_holder_is_free_and_waiters_get_it)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	int pipe_fds[2];
	char ready = 0;
	int fd;
	pid_t child;

	scratch_make(&s);
	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (child == 0) {
		fd = env_lock_take(&s.paths, "abcdefghjkmn", "ctrz up", 0, NULL, NULL, &err);
		if (fd < 0 || write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(pipe_fds[0], &ready, 1), 1);
	assert_error(err, E_TIMEOUT,
		     env_lock_take(&s.paths, "abcdefghjkmn", "ctrz up", 0, NULL, NULL, &err));
	assert_int_equal(kill(child, SIGKILL), 0);
	fd = env_lock_take(&s.paths, "abcdefghjkmn", "ctrz up", 60000, NULL, NULL, &err);
	assert_true(fd >= 0);
	env_lock_release(&s.paths, "abcdefghjkmn", &fd);
	assert_int_equal(waitpid(child, NULL, 0), child);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	scratch_remove(&s);
}

TEST(journal_tells_what_was_left_open)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	CLEANUP(journal_close_p) struct journal *j = NULL;
	struct journal_rest rest = { 0 };
	int fd;

	scratch_make(&s);
	dir = env_store_dir(&s.paths, "abcdefghjkmn");
	assert_ok(err, dir_make(dir, 0700, &err));
	assert_error(err, E_NOT_FOUND, journal_read(&s.paths, "abcdefghjkmn", &rest, &err));
	assert_ok(err, journal_start(&s.paths, "abcdefghjkmn", 7, 3, "ctrz up", &j, &err));
	assert_ok(err, journal_note(j, JOURNAL_BEGIN, "start", "web", &err));
	assert_ok(err, journal_note(j, JOURNAL_BEGIN, "start", "db", &err));
	assert_ok(err, journal_note(j, JOURNAL_DONE, "start", "web", &err));
	/* A line torn by a crash. */
	path = path_join(dir, "journal");
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "{\"event\":\"do", 12) == 12);
	(void)close(fd);
	assert_ok(err, journal_read(&s.paths, "abcdefghjkmn", &rest, &err));
	assert_int_equal(rest.run, 7);
	assert_int_equal(rest.total, 3);
	assert_int_equal(rest.done, 1);
	assert_string_equal(rest.open, "start db");
	journal_rest_release(&rest);
	assert_ok(err, journal_finish(j, &err));
	assert_error(err, E_NOT_FOUND, journal_read(&s.paths, "abcdefghjkmn", &rest, &err));
	scratch_remove(&s);
}

TEST(two_networks_never_get_one_subnet)
{
	AUTO_ERROR err = ERROR_INIT;
	struct scratch s;
	AUTO_ENV_RECORD a = { 0 };
	AUTO_ENV_RECORD b = { 0 };
	AUTO_FREE char *one = NULL;
	AUTO_FREE char *two = NULL;
	struct subnet first = { 0 }, second = { 0 };
	int lock = -1;

	scratch_make(&s);
	one = scratch_write(&s, "one.yaml", "a");
	two = scratch_write(&s, "two.yaml", "b");
	make_env(&s, one, "one", &a);
	assert_ok(err, env_store_create(two, "two", &b, &err));
	assert_ok(err, env_store_choose_subnet(&s.paths, &b, 3, &first, &lock, &err));
	assert_true(lock >= 0);
	(void)close(lock);
	assert_false(subnet_overlap(&first, &a.networks[0].subnet));
	env_record_add_network(&b, "back")->subnet = first;
	assert_ok(err, env_store_choose_subnet(&s.paths, &b, 3, &second, &lock, &err));
	(void)close(lock);
	assert_false(subnet_overlap(&first, &second));
	assert_false(subnet_overlap(&second, &a.networks[0].subnet));
	assert_ok(err, env_store_choose_subnet(&s.paths, &b, 900, &second, &lock, &err));
	(void)close(lock);
	assert_int_equal(second.prefix, 20);
	scratch_remove(&s);
}

static void check_source(const char *text, bool is_good)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_SPEC_SOURCE s = SPEC_SOURCE_INIT;
	AUTO_JSON o = NULL;

	assert_ok(err, json_parse(text, strlen(text), 4096, "source", &o, &err));
	if (!is_good) {
		assert_error(err, E_INVALID, spec_source_from_json(o, "state.json", &s, &err));
		return;
	}
	assert_ok(err, spec_source_from_json(o, "state.json", &s, &err));
	AUTO_JSON again = spec_source_to_json(&s);
	AUTO_FREE char *written = json_text(again);
	assert_string_equal(written, text);
}

#define COMMIT "\"commit\":\"0123456789abcdef0123456789abcdef01234567\""

TEST(a_source_in_git_is_kept_and_read_as_strictly_as_on_the_command_line)
{
	check_source("{\"url\":\"git+https://h/r.git\",\"ref\":\"v3\"," COMMIT
		     ",\"path\":\"a/env.yaml\"}",
		     true);
	check_source("{\"url\":\"git+https://h/r.git\",\"ref\":null," COMMIT
		     ",\"path\":\"env.yaml\"}",
		     true);
	check_source("{\"url\":\"git+http://h/r.git\",\"ref\":\"v3\"," COMMIT ",\"path\":\"e\"}",
		     false);
	check_source("{\"url\":\"git+https://h/r#x\",\"ref\":\"v3\"," COMMIT ",\"path\":\"e\"}",
		     false);
	check_source("{\"url\":\"git+https://h/r\",\"ref\":\"--x\"," COMMIT ",\"path\":\"e\"}",
		     false);
	check_source("{\"url\":\"git+https://h/r\",\"ref\":\"v3\"," COMMIT ",\"path\":\"../e\"}",
		     false);
	check_source("{\"url\":\"git+https://h/r\",\"commit\":\"0123\",\"path\":\"e\"}", false);
	check_source("{}", false);
}
