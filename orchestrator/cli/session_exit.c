/* SPDX-License-Identifier: MIT */
/* Relaying a guest's process. */
#include "orchestrator/cli/session_exit.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "runtime/machine/machine.h"

int session_check_running(const struct host_paths *paths, const struct env_record *env,
			  const struct container_record *c, char **ret_run_dir, struct error *err)
{
	AUTO_FREE char *run_dir = env_store_run_dir(paths, c->run_id);
	AUTO_FREE char *state_dir = env_store_container_dir(paths, env->id, c->name);
	struct machine_status s = { 0 };
	int r = machine_observe(run_dir, state_dir, &s, err);

	if (r == 0 && s.phase == MACHINE_RUNNING)
		*ret_run_dir = TAKE_PTR(run_dir);
	else if (r == 0 && s.phase == MACHINE_EXITED && s.exit_code >= 0)
		r = error_set(err, E_UNAVAILABLE,
			      "container '%s' is not running: it exited with %d; see: ctrz logs %s",
			      c->name, s.exit_code, c->name);
	else if (r == 0)
		r = error_set(err, E_UNAVAILABLE,
			      "container '%s' is not running; start it with: ctrz up", c->name);
	machine_status_release(&s);
	return r;
}

int session_start_exit(enum error_code code)
{
	if (code == E_NOT_FOUND)
		return EXIT_RUN_NO_COMMAND;
	return code == E_DENIED ? EXIT_RUN_DENIED : EXIT_RUN_FAILED;
}

int session_detach_keys(struct cli *cli, const struct options *o, struct session_options *ret,
			struct error *err)
{
	const char *keys = option_value(o, "detach-keys");

	if (detach_keys_parse(keys ? keys : DETACH_KEYS_DEFAULT, &ret->detach, err) == 0)
		return 0;
	cli->failure_exit = EXIT_USAGE;
	return error_wrap(err, "--detach-keys");
}

void session_streams(const struct msg_spawn *spawn, struct session_options *ret)
{
	ret->stdin_fd = spawn->stdin_open ? 0 : -1;
	ret->stdout_fd = 1;
	ret->stderr_fd = 2;
	ret->tty = spawn->tty;
	ret->forward_signals = true;
}

int session_relay(const struct cli *cli, int sock, const struct session_options *s,
		  const char *where, struct error *err)
{
	struct session_options asked = *s;
	bool oom_killed = false;
	int code = 0;

	asked.ret_oom_killed = &oom_killed;
	int r = session_run(sock, &asked, &code, err);
	if (r < 0)
		return r;
	if (oom_killed)
		(void)fputs("ctrz: it was killed: the machine is out of memory; give it more with "
			    "resources: { memory: SIZE }\n",
			    stderr);
	if (r == SESSION_DETACHED && !cli->quiet)
		(void)fprintf(stderr, "\nleft '%s'; the process goes on\n", where);
	return code;
}
