/* SPDX-License-Identifier: MIT */
/* One container for `ctrz run`. */
/*
 * DOC: Theory of Operation
 *
 * Nothing of a run is recorded as an environment. Its folder below the state folder is named by the
 * ids of its two run folders and locked while the command lives. The machine is attached to the
 * command by a socket and the switch by a pipe: when the command dies, however, both end. A signal
 * that ends it starts another program of ours, which removes the files. Those of a command that was
 * killed in a way that it cannot notice the next run removes: it finds folders that nobody locks.
 */
#include "orchestrator/apply/run_once.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/trace.h"
#include "orchestrator/apply/actions.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/state/env_store.h"

#define NETWORK "default"

enum {
	NAME_LENGTH = 2 * (RUN_ID_SIZE - 1) + 1, /* of a run's folder */
	TIDY_MS = 10 * 1000,
};

struct run_once {
	const struct host_paths *paths; /* lent */
	char *dir;                      /* the machine's state folder */
	char *machine_run, *network_run;
	int lock;
	int owner[2]; /* the switch lives as long as the write end */
	bool is_started;
};

static char *runs_dir(const struct host_paths *paths)
{
	return path_join(paths->state, "runs");
}

static void remove_files(const char *dir, const char *machine_run, const char *network_run)
{
	AUTO_ERROR err = ERROR_INIT;
	if (machine_stop(machine_run, dir, SIGKILL, 0, &err) < 0)
		error_ignore(&err, "end a run's machine");
	if (switch_stop(network_run, &err) < 0)
		error_ignore(&err, "end a run's network");
	if (dir_remove_tree(network_run, &err) < 0)
		error_ignore(&err, "remove a run's folder");
	if (dir_remove_tree(machine_run, &err) < 0)
		error_ignore(&err, "remove a run's folder");
	if (dir_remove_tree(dir, &err) < 0)
		error_ignore(&err, "remove a run's folder");
}

/* Remove what a command left that no longer lives. */
static void sweep_one(const struct host_paths *paths, const char *name)
{
	AUTO_FREE char *parent = runs_dir(paths);
	AUTO_FREE char *dir = path_join(parent, name);
	AUTO_FREE char *lock = path_join(dir, "lock");
	const char *dash = strchr(name, '-');

	if (!dash || strlen(name) != NAME_LENGTH || lock_is_held(lock))
		return;
	AUTO_FREE char *machine_id = xstrndup(name, (size_t)(dash - name));
	AUTO_FREE char *machine_run = env_store_run_dir(paths, machine_id);
	AUTO_FREE char *network_run = env_store_run_dir(paths, dash + 1);
	remove_files(dir, machine_run, network_run);
}

static void sweep(const struct host_paths *paths)
{
	AUTO_FREE char *parent = runs_dir(paths);
	AUTO_DIR DIR *d = opendir(parent);
	for (struct dirent *e;
	     d && (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): ours alone */
		sweep_one(paths, e->d_name);
}

/* Until a command is gone, and with it what it holds. */
static void await_command(const char *number)
{
	uint64_t pid = 0;
	AUTO_CLOSE int fd = parse_u64(number, INT32_MAX, &pid)
				    ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0)
				    : -1;
	struct pollfd end = { .fd = fd, .events = POLLIN };

	if (fd >= 0)
		(void)poll(&end, 1, TIDY_MS);
}

int run_tidy_main(int argc, char **argv)
{
	struct host_paths paths = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (argc < 3 || host_paths_init(&paths, &err) < 0)
		return EXIT_FAILURE;
	/* Held, so that it goes in the end: the command that would have removed it cannot. */
	if (host_paths_make(&paths, &err) < 0)
		error_ignore(&err, "hold the run folder");
	await_command(argv[1]);
	sweep_one(&paths, argv[2]);
	host_paths_release(&paths);
	return EXIT_SUCCESS;
}

/* What the handler needs: who we are, the name of the run's folder, and what was there before it.
 */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction handled[ARRAY_SIZE(ending)];
static char owner[12], tidied[NAME_LENGTH + 1];

static void handle_none(void)
{
	for (size_t i = 0; tidied[0] && i < ARRAY_SIZE(ending); i++)
		(void)sigaction(ending[i], &handled[i], NULL);
	tidied[0] = '\0';
}

/* The signal ends the process after this, as it would have. Only what POSIX lets a handler do. */
static void on_ending(int sig)
{
	char program[] = "/proc/self/exe", helper[] = "__tidy";
	char *argv[] = { program, helper, owner, tidied, NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	if (_Fork() == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int fd = 0; fd <= STDERR_FILENO; fd++)
			(void)dup2(null, fd);
		(void)setsid();
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execve(program, argv, environ);
		_exit(1);
	}
	handle_none();
	(void)raise(sig);
}

/* Those that are ignored stay so. */
static void handle_ending(const char *name)
{
	struct sigaction now = { .sa_handler = on_ending };

	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		(void)sigaddset(&now.sa_mask, ending[i]);
	(void)snprintf(owner, sizeof(owner), "%d", getpid());
	(void)snprintf(tidied, sizeof(tidied), "%s", name);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigaction(ending[i], NULL, &handled[i]) == 0 &&
		    handled[i].sa_handler != SIG_IGN)
			(void)sigaction(ending[i], &now, NULL);
}

void run_once_end(struct run_once *r)
{
	if (!r)
		return;
	remove_files(r->dir, r->machine_run, r->network_run);
	handle_none();
	for (int i = 0; i < 2; i++)
		if (r->owner[i] >= 0)
			(void)close(r->owner[i]);
	if (r->lock >= 0)
		(void)close(r->lock);
	free(r->dir);
	free(r->machine_run);
	free(r->network_run);
	free(r);
}

DEFINE_CLEANUP(struct run_once *, run_once_end)

/* A record that lives only here, with an address for the container. */
static int make_record(const struct run_once_options *o, const struct spec_container *c,
		       struct world *w, struct error *err)
{
	TRACE("choose the addresses");
	AUTO_LEASE_LIST leases = LEASE_LIST_INIT;
	AUTO_CLOSE int lock = -1;
	struct in_addr address = { 0 };
	w->paths = o->paths;
	random_id(w->record.id, ENV_ID_SIZE);
	w->record.name = xstrdup(o->env->name.text);
	struct network_record *n = env_record_add_network(&w->record, NETWORK);
	(void)env_record_add_container(&w->record, c->o.name);
	if (!c->networks.count)
		return 0;
	int r = env_store_choose_subnet(o->paths, &w->record, 1, &n->subnet, &lock, err);
	if (r == 0)
		r = lease_take(&leases, &n->subnet, c->o.name, &address, err);
	if (r == 0)
		container_record_set_address(env_record_container(&w->record, c->o.name), NETWORK,
					     address);
	return r;
}

static int make_folders(const struct world *w, const struct spec_container *c, struct run_once *r,
			struct error *err)
{
	TRACE("folders and disk");
	const char *machine_id = env_record_container(&w->record, c->o.name)->run_id;
	const char *network_id = env_record_network(&w->record, NETWORK)->run_id;
	AUTO_FREE char *parent = runs_dir(w->paths);
	AUTO_FREE char *name = xasprintf("%s-%s", machine_id, network_id);
	r->dir = path_join(parent, name);
	r->machine_run = env_store_run_dir(w->paths, machine_id);
	r->network_run = env_store_run_dir(w->paths, network_id);
	AUTO_FREE char *lock = path_join(r->dir, "lock");
	AUTO_FREE char *disk = path_join(r->dir, UPPER_DISK_NAME);
	handle_ending(name);
	int ret = dir_make(r->dir, 0700, err);
	if (ret < 0)
		return ret;
	r->lock = lock_file(lock, LOCK_TRY, err);
	if (r->lock < 0)
		return r->lock;
	return throwaway_disk_create(disk, translate_disk_bytes(c), c->o.name, err);
}

static int find_image(const struct run_once_options *o, const struct spec_container *c,
		      struct image *ret, struct error *err)
{
	TRACE("find the image");
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	int r = host_images_open(o->paths, o->config, o->progress, o->progress_arg, &store, err);
	if (r < 0)
		return r;
	if (c->pull.value != SPEC_PULL_ALWAYS) {
		r = image_store_find(store, c->image.text, ret, err);
		if (r != -E_NOT_FOUND)
			return r;
		if (c->pull.value == SPEC_PULL_NEVER)
			return error_wrap(err, "--pull never");
		error_clear(err);
	}
	return image_store_pull(store, c->image.text, ret, err);
}

static int start_network(const struct world *w, const struct run_once_options *o,
			 struct run_once *r, struct error *err)
{
	TRACE("start the switch");
	const struct network_record *n = env_record_network(&w->record, NETWORK);
	struct switch_config config = { 0 };
	if (pipe2(r->owner, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	translate_network(environment_network(o->env, NETWORK), n, r->network_run, &config);
	int ret = switch_start_owned(&config, r->owner[0], err);
	switch_config_release(&config);
	return ret;
}

static int start_machine(const struct world *w, const struct run_once_options *o,
			 const struct image *image, const struct run_once *r, int *ret_sock,
			 struct error *err)
{
	TRACE("start the machine");
	const struct spec_container *c = &o->env->containers.items[0];
	struct kernel kernel = { 0 };
	struct machine_config config;
	struct json *ports = NULL;
	char **port_dirs = NULL;
	struct translate_input in = {
		.env = o->env,
		.container = c,
		.record = &w->record,
		.image = image,
		.kernel = &kernel,
		.run_dir = r->machine_run,
		.state_dir = r->dir,
	};
	int ret = kernel_store_default(w->paths, &kernel, err);
	if (ret == 0)
		ret = ports_set(w, c, &port_dirs, &ports, err);
	in.port_dirs = port_dirs;
	if (ret == 0)
		ret = translate_container(&in, &config, err);
	if (ret == 0) {
		config.attached = true;
		/* Nobody has written to it. */
		config.disks[1].empty = throwaway_disk_kind(translate_disk_bytes(c));
		config.cold = o->config->cold;
		config.restart = RESTART_NO;
		config.main.tty = o->tty;
		config.main.stdin_open = o->stdin_open;
		config.main.rows = o->rows;
		config.main.columns = o->columns;
		ret = machine_start(&config, ret_sock, err);
		machine_config_release(&config);
	}
	json_free(ports);
	ports_dirs_free(port_dirs, c->networks.count);
	kernel_release(&kernel);
	return ret;
}

int run_once_start(const struct run_once_options *o, struct run_once **ret, int *ret_sock,
		   bool *ret_image_found, struct error *err)
{
	const struct spec_container *c = &o->env->containers.items[0];
	AUTO_WORLD w = { 0 };
	struct image image = { 0 };
	CLEANUP(run_once_end_p) struct run_once *run = NULL;
	*ret_image_found = false;
	int r = find_image(o, c, &image, err);
	if (r < 0)
		return r;
	*ret_image_found = true;
	sweep(o->paths);
	r = make_record(o, c, &w, err);
	if (r == 0) {
		run = xcalloc(1, sizeof(*run));
		*run = (struct run_once){ .paths = o->paths, .lock = -1, .owner = { -1, -1 } };
		r = make_folders(&w, c, run, err);
	}
	if (r == 0 && c->networks.count)
		r = start_network(&w, o, run, err);
	if (r == 0)
		r = start_machine(&w, o, &image, run, ret_sock, err);
	if (r == 0)
		*ret = TAKE_PTR(run);
	image_release(&image);
	return r;
}
