/* SPDX-License-Identifier: MIT */
/* Notes on a record between two times that it is written whole. */
/*
 * DOC: Theory of Operation
 *
 * Each line is a JSON object with the serial the record has with it, and the objects that changed
 * in the form state.json has them, null for those that are gone. state.json says which serial it
 * was written with: older lines are in it already, which is how a log is passed over that a killed
 * writer did not get to remove. A first line that is more than one ahead means that state.json was
 * written anew while it was being read. The writer cuts off what does not belong to the record it
 * knows, such as a line that was torn, before it adds its own.
 */
#include "orchestrator/state/env_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "orchestrator/state/env_store.h"

/* A log that is longer than state.json and this is folded into it: all writes together then cost in
 * proportion to what is noted. */
enum { FOLD_BYTES = 64 * 1024, LOG_MAX_BYTES = 64 * 1024 * 1024 };

static char *log_path(const struct host_paths *paths, const struct env_record *r)
{
	return env_store_path(paths, r->id, STATE_LOG_NAME);
}

static int append(const char *path, struct env_record *r, const struct buffer *line,
		  struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (ftruncate(fd, (off_t)r->log_bytes) < 0 || lseek(fd, 0, SEEK_END) < 0)
		return error_sys(err, "prepare '%s'", path);
	if (fd_write_full(fd, line->data, line->size, err) < 0)
		return error_wrap(err, "write '%s'", path);
	if (fdatasync(fd) < 0)
		return error_sys(err, "sync '%s'", path);
	if (r->log_bytes == 0) {
		AUTO_FREE char *dir = path_dirname(path);

		return dir_sync(dir, err);
	}
	return 0;
}

int env_store_note(const struct host_paths *paths, struct env_record *r, enum record_part part,
		   const char *name, struct error *err)
{
	AUTO_FREE char *path = log_path(paths, r);
	AUTO_JSON line = json_new_object();
	AUTO_BUFFER text = BUFFER_INIT;
	uint64_t now = clock_unix_ms();
	int ret;

	json_set_int(line, "serial", (int64_t)r->serial + 1);
	json_set_int(line, "changed_unix_ms", (int64_t)now);
	env_record_note(r, part, name, line);
	json_print(line, 0, false, &text);
	buffer_add_char(&text, '\n');
	if (r->log_bytes + text.size > r->state_bytes + FOLD_BYTES)
		return env_store_write(paths, r, err);
	ret = append(path, r, &text, err);
	if (ret < 0)
		return error_wrap(err, "record the state of '%s'", r->name);
	r->serial++;
	r->changed_unix_ms = now;
	r->log_bytes += text.size;
	r->state_inode = 0;
	return 0;
}

/* Return: 1 to go on, 0 if the log ends here, -code */
static int apply_line(const char *path, const char *text, size_t size, struct env_record *r,
		      struct error *err)
{
	AUTO_JSON line = NULL;
	AUTO_ERROR line_err = ERROR_INIT;
	uint64_t serial;
	int ret;

	if (json_parse(text, size, LOG_MAX_BYTES, path, &line, &line_err) < 0) {
		error_ignore(&line_err, "read a line of the state's log");
		return 0;
	}
	serial = json_u64(line, "serial", 0);
	if (serial <= r->serial)
		return 1;
	if (serial > r->serial + 1)
		return error_set(err, E_CONFLICT, "'%s' goes on from another state.json", path);
	ret = env_record_take_note(r, line, path, err);
	if (ret < 0)
		return ret;
	r->serial = serial;
	r->changed_unix_ms = json_u64(line, "changed_unix_ms", r->changed_unix_ms);
	return 1;
}

int env_log_apply(const struct host_paths *paths, struct env_record *r, struct error *err)
{
	AUTO_FREE char *path = log_path(paths, r);
	AUTO_BUFFER text = BUFFER_INIT;
	const char *begin, *p, *end;
	int ret = 1;

	if (!file_exists(path))
		return 0;
	ret = file_read(path, LOG_MAX_BYTES, &text, err);
	if (ret == -E_NOT_FOUND) {
		error_clear(err); /* state.json has it all now */
		return 0;
	}
	if (ret < 0)
		return ret;
	begin = p = buffer_str(&text);
	for (ret = 1; ret > 0 && (end = strchr(p, '\n')); p = end + 1) {
		ret = apply_line(path, p, (size_t)(end - p), r, err);
		if (ret <= 0)
			break;
		r->log_bytes = (uint64_t)(end + 1 - begin);
	}
	return ret < 0 ? ret : 0;
}

int env_log_clear(const struct host_paths *paths, struct env_record *r, struct error *err)
{
	AUTO_FREE char *path = log_path(paths, r);

	r->log_bytes = 0;
	return file_remove(path, err);
}

bool env_log_is_as_read(const struct host_paths *paths, const struct env_record *r)
{
	AUTO_FREE char *path = log_path(paths, r);
	struct stat st;

	return (stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size) == r->log_bytes;
}
