/* SPDX-License-Identifier: MIT */
/* status.json: how a machine does, for those who come when its keeper is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "runtime/machine/keeper_internal.h"

enum { STATUS_MAX = 64 * 1024 };

static const char *const phase_names[] = { "absent",   "starting",   "running",
					   "stopping", "restarting", "exited" };
_Static_assert(ARRAY_SIZE(phase_names) == MACHINE_PHASES, "a name for each phase");

const char *machine_phase_name(enum machine_phase phase)
{
	return (size_t)phase < ARRAY_SIZE(phase_names) ? phase_names[phase] : "unknown";
}

void machine_status_release(struct machine_status *s)
{
	free(s->error);
	free(s->health_text);
	for (size_t i = 0; i < s->process_count; i++) {
		free(s->processes[i].name);
		free(s->processes[i].text);
	}
	free(s->processes);
	*s = (struct machine_status){ .exit_code = -1 };
}

static struct json *status_to_json(const struct machine_status *s)
{
	struct json *o = json_new_object();

	json_set_string(o, "phase", machine_phase_name(s->phase));
	json_set_int(o, "keeper_pid", s->keeper_pid);
	json_set_int(o, "qemu_pid", s->qemu_pid);
	json_set_int(o, "exit_code", s->exit_code);
	json_set_bool(o, "oom_killed", s->oom_killed);
	json_set_bool(o, "paused", s->is_paused);
	json_set_int(o, "restarts", s->restarts);
	json_set_int(o, "started_unix_ms", (int64_t)s->started_unix_ms);
	json_set_int(o, "exited_unix_ms", (int64_t)s->exited_unix_ms);
	json_set_int(o, "memory_bytes", (int64_t)s->memory_bytes);
	json_set_string(o, "error", s->error);
	return o;
}

/* Renamed into place, but not synced: after a crash of the host every machine is gone, whatever the
 * file says. */
static int write_file(const char *path, const struct buffer *text, struct error *err)
{
	AUTO_FREE char *beside = xasprintf("%s.new", path);
	AUTO_CLOSE int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_sys(err, "write '%s'", beside);
	if (fd_write_full(fd, text->data, text->size, err) < 0)
		return -(int)err->code;
	if (rename(beside, path) < 0)
		return error_sys(err, "rename '%s'", beside);
	return 0;
}

void keeper_status_write(struct keeper *k)
{
	AUTO_FREE char *path = path_join(k->config.machine.state_dir, "status.json");
	AUTO_JSON o = status_to_json(&k->status);
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	json_print(o, 1, false, &text);
	buffer_add_char(&text, '\n');
	if (write_file(path, &text, &err) < 0)
		error_ignore(&err, "write the status");
}

void status_read(const char *state_dir, struct machine_status *ret)
{
	AUTO_FREE char *path = path_join(state_dir, "status.json");
	AUTO_JSON o = NULL;
	AUTO_ERROR err = ERROR_INIT;

	*ret = (struct machine_status){ .phase = MACHINE_ABSENT, .exit_code = -1 };
	if (json_read_file(path, STATUS_MAX, &o, &err) < 0) {
		error_ignore(&err, "read the status");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(phase_names); i++)
		if (str_equal(json_str(o, "phase", ""), phase_names[i]))
			ret->phase = (enum machine_phase)i;
	ret->keeper_pid = (pid_t)json_i64(o, "keeper_pid", 0);
	ret->qemu_pid = (pid_t)json_i64(o, "qemu_pid", 0);
	ret->exit_code = (int)json_i64(o, "exit_code", -1);
	ret->oom_killed = json_bool(o, "oom_killed", false);
	ret->restarts = (unsigned)json_u64(o, "restarts", 0);
	ret->started_unix_ms = json_u64(o, "started_unix_ms", 0);
	ret->exited_unix_ms = json_u64(o, "exited_unix_ms", 0);
	ret->memory_bytes = json_u64(o, "memory_bytes", 0);
	ret->error = xstrdup_null(json_str(o, "error", NULL));
}
