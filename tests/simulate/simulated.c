/* SPDX-License-Identifier: MIT */
/* ctrz with machines, switches, images and kernels that are only files: the orchestrator and its
 * state are real. */
/*
 * Linked with --wrap for each function below, so that everything above the runtime seam is the
 * program's own code. A machine "runs" while its state folder holds a file "running", and has ended
 * with the code in a file "exited"; "starting" or "unhealthy" in a file "health" is what its probe
 * makes of it; a file "paused" says that it stands still. A container whose image's name holds
 * "broken" does not start, one with "fleeting" starts and is gone. Of commands there are "exit" and
 * "killed" with a number; the rest is not there, or no program if it is a path.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "orchestrator/apply/host_facts.h"
#include "orchestrator/cli/cli.h"
#include "runtime/image/image_store.h"
#include "runtime/machine/accelerator.h"
#include "runtime/machine/kernel_store.h"
#include "runtime/machine/machine.h"
#include "runtime/network/switch_client.h"
#include "runtime/share/share.h"

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(int, machine_observe, const char *run_dir, const char *state_dir, struct machine_status *ret,
     struct error *err)
{
	AUTO_FREE char *running = path_join(state_dir, "running");
	AUTO_FREE char *exited = path_join(state_dir, "exited");
	AUTO_FREE char *health = path_join(state_dir, "health");
	AUTO_BUFFER code = BUFFER_INIT;
	AUTO_BUFFER word = BUFFER_INIT;
	AUTO_ERROR none = ERROR_INIT;

	(void)run_dir;
	(void)err;
	*ret = (struct machine_status){ .exit_code = -1 };
	ret->phase = file_exists(running) ? MACHINE_RUNNING : MACHINE_ABSENT;
	if (file_exists(exited) && file_read(exited, 16, &code, &none) == 0) {
		ret->phase = MACHINE_EXITED;
		ret->exit_code = atoi(buffer_str(&code));
	}
	AUTO_FREE char *paused = path_join(state_dir, "paused");
	ret->is_paused = ret->phase == MACHINE_RUNNING && file_exists(paused);
	if (file_exists(health) && file_read(health, 16, &word, &none) == 0) {
		ret->health = buffer_str(&word)[0] == 's' ? HEALTH_STARTING : HEALTH_UNHEALTHY;
		ret->health_text = xstrdup("what it saw");
	}
	return 0;
}

/* A session in which nothing is said but how it ended. */
WRAP(int, machine_exec, const char *run_dir, const struct msg_spawn *spawn, int *ret_sock,
     struct error *err)
{
	const char *word = spawn->argv.items[0];
	bool is_killed = strcmp(word, "killed") == 0;
	AUTO_BUFFER out = BUFFER_INIT;
	struct msg_exited m = { 0 };
	int fds[2];

	(void)run_dir;
	if (strchr(word, '/'))
		return error_set(err, E_DENIED, "'%s' cannot be executed", word);
	if (!is_killed && strcmp(word, "exit") != 0)
		return error_set(err, E_NOT_FOUND, "there is no '%s'", word);
	m.code = (uint32_t)atoi(spawn->argv.items[1]) + (is_killed ? 128 : 0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, "make a session");
	if (msg_exited_add(&out, MSG_EXITED, STREAM_MAIN, &m, err) < 0 ||
	    fd_write_full(fds[1], out.data, out.size, err) < 0)
		return -(int)err->code;
	*ret_sock = fds[0]; /* the other end is closed with the program */
	return 0;
}

WRAP(int, machine_start, const struct machine_config *c, int *ret_sock, struct error *err)
{
	AUTO_FREE char *running = path_join(c->state_dir, "running");

	(void)ret_sock;
	if (strstr(c->disks[0].path, "broken"))
		return error_set(err, E_NOT_FOUND, "the guest's last words");
	if (strstr(c->disks[0].path, "fleeting"))
		return 0;
	if (strstr(c->disks[0].path, "sick")) {
		AUTO_FREE char *sick = path_join(c->state_dir, "sick");

		if (file_write_atomic(sick, "", 0, 0600, err) < 0)
			return -(int)err->code;
	}
	return file_write_atomic(running, "", 0, 0600, err);
}

WRAP(int, machine_stop, const char *run_dir, const char *state_dir, int sig, uint64_t grace_ms,
     struct error *err)
{
	AUTO_FREE char *running = path_join(state_dir, "running");

	(void)run_dir;
	(void)sig;
	(void)grace_ms;
	return file_remove(running, err);
}

/* A container of an image whose name holds "sick" never gets ready; its keeper knows. */
WRAP(int, machine_wait, const char *run_dir, const char *state_dir, enum wait_until until,
     struct error *err)
{
	AUTO_FREE char *sick = path_join(state_dir, "sick");

	(void)run_dir;
	if (until == WAIT_READY && file_exists(sick))
		return error_set(err, E_UNAVAILABLE, "the container is unhealthy");
	return 0;
}

WRAP(int, machine_wait_end, const char *run_dir, const char *state_dir, struct machine_status *ret,
     struct error *err)
{
	AUTO_FREE char *running = path_join(state_dir, "running");

	(void)run_dir;
	*ret = (struct machine_status){ .phase = MACHINE_EXITED };
	return file_remove(running, err);
}

static char *switch_mark(const char *run_dir)
{
	return xasprintf("%s.switch", run_dir);
}

WRAP(pid_t, switch_observe, const char *run_dir)
{
	AUTO_FREE char *mark = switch_mark(run_dir);

	return file_exists(mark) ? 1 : 0;
}

WRAP(int, switch_start, const struct switch_config *c, pid_t *ret_pid, struct error *err)
{
	AUTO_FREE char *mark = switch_mark(c->run_dir);

	(void)ret_pid;
	return file_write_atomic(mark, "", 0, 0600, err);
}

WRAP(int, switch_stop, const char *run_dir, struct error *err)
{
	AUTO_FREE char *mark = switch_mark(run_dir);

	return file_remove(mark, err);
}

WRAP(int, switch_set_port, const char *run_dir, const struct switch_port *p, char **ret_dir,
     uint16_t *ret_ports, struct error *err)
{
	AUTO_FREE char *mark = switch_mark(run_dir);

	if (!file_exists(mark))
		return error_set(err, E_NOT_FOUND, "no switch");
	for (size_t i = 0; ret_ports && i < p->publish_count; i++)
		ret_ports[i] = p->publish[i].host_port;
	if (ret_dir)
		*ret_dir = path_join(run_dir, p->name);
	return 0;
}

WRAP(int, switch_remove_port, const char *run_dir, const char *name, struct error *err)
{
	(void)run_dir;
	(void)name;
	(void)err;
	return 0;
}

WRAP(bool, host_port_is_free, struct in_addr addr, uint16_t port, bool udp)
{
	(void)addr;
	(void)port;
	(void)udp;
	return true;
}

static void fill_image(const char *reference, struct image *ret)
{
	*ret = (struct image){ .reference = xstrdup(reference),
			       .digest = xasprintf("sha256:%064d", 1),
			       .disk = xasprintf("/images/%s", reference) };
}

/* What was pulled by a digest, a line each. */
struct image_store {
	char *pulled;
};

WRAP(int, image_store_open, const struct image_store_options *o, struct image_store **ret,
     struct error *err)
{
	AUTO_FREE char *index = path_join(o->paths->data, "images.json");

	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->pulled = path_join(o->paths->data, "pulled");
	return o->reads_only || file_exists(index) ? 0
						   : file_write_atomic(index, "{}", 2, 0600, err);
}

WRAP(void, image_store_close, struct image_store *s)
{
	if (s)
		free(s->pulled);
	free(s);
}

/* "sha256:..." of a reference, or made of a digest's digits alone; owned, NULL if it has none. */
static char *digest_of(const char *reference)
{
	const char *digest = strstr(reference, "sha256:");

	if (strlen(reference) == 64 && strspn(reference, "0123456789abcdef") == 64)
		return xasprintf("sha256:%s", reference);
	return xstrdup_null(digest);
}

/* Of every name there is an image here, but by digest only the one of all names and those that were
 * pulled. */
WRAP(int, image_store_find, struct image_store *s, const char *reference, struct image *ret,
     struct error *err)
{
	AUTO_FREE char *digest = digest_of(reference);
	AUTO_BUFFER pulled = BUFFER_INIT;
	AUTO_ERROR none = ERROR_INIT;

	fill_image(reference, ret);
	if (!digest || strcmp(digest, ret->digest) == 0)
		return 0;
	if (file_read(s->pulled, 1 << 20, &pulled, &none) < 0 ||
	    !strstr(buffer_str(&pulled), digest)) {
		image_release(ret);
		return error_set(err, E_NOT_FOUND, "no image here has the digest '%s'", digest);
	}
	free(ret->digest);
	ret->digest = xstrdup(digest);
	return 0;
}

WRAP(int, image_store_pull, struct image_store *s, const char *reference, struct image *ret,
     struct error *err)
{
	const char *digest = strstr(reference, "sha256:");
	AUTO_CLOSE int fd = -1;

	(void)err;
	fill_image(reference, ret);
	if (!digest)
		return 0;
	fd = open(s->pulled, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	(void)dprintf(fd, "%s\n", reference);
	free(ret->digest);
	ret->digest = xstrdup(digest);
	return 0;
}

/* Each question is a line in CTRZ_SIMULATED_ASKED. CTRZ_SIMULATED_DIGEST is what registries have
 * instead of what is here; "dead" = they do not answer. */
WRAP(int, image_store_ask, struct image_store *s, const char *reference, struct image_offer *ret,
     struct error *err)
{
	const char *log = getenv("CTRZ_SIMULATED_ASKED");
	const char *digest = getenv("CTRZ_SIMULATED_DIGEST");
	AUTO_CLOSE int fd = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	(void)s;
	if (fd >= 0)
		(void)dprintf(fd, "%s\n", reference);
	if (digest && strcmp(digest, "dead") == 0)
		return error_set(err, E_UNAVAILABLE, "the registry does not answer");
	if (strstr(reference, "@"))
		digest = strchr(reference, '@') + 1;
	*ret = (struct image_offer){ .digest = xstrdup_null(digest), .is_here = !digest };
	if (digest)
		ret->download_bytes = 38 << 20;
	else
		ret->digest = xasprintf("sha256:%064d", 1);
	return 0;
}

WRAP(int, writable_disk_create, const char *path, uint64_t size_bytes, const char *label,
     struct error *err)
{
	(void)size_bytes;
	(void)label;
	return file_write_atomic(path, "", 0, 0600, err);
}

WRAP(int, volume_disk_create, const char *path, uint64_t size_bytes, const char *label,
     struct error *err)
{
	AUTO_FREE char *temp = xasprintf("%s.new", path);

	(void)label;
	if (file_write_atomic(temp, "", 0, 0600, err) < 0)
		return -(int)err->code;
	/* Whole at once, as the real one: the process may be killed at any moment. */
	if (truncate(temp, (off_t)size_bytes) < 0 || rename(temp, path) < 0)
		return error_sys(err, "make '%s'", path);
	return 0;
}

/* Nothing can be mounted on /stubborn while a machine runs. */
WRAP(int, machine_change, const struct machine_config *c, struct error *err)
{
	AUTO_FREE char *changes = path_join(c->state_dir, "changes");
	AUTO_FREE char *paused = path_join(c->state_dir, "paused");
	AUTO_BUFFER text = BUFFER_INIT;

	/* What is changed goes on. */
	if (file_remove(paused, err) < 0)
		return -(int)err->code;

	for (size_t i = 0; i < c->setup.tmpfs_count; i++)
		if (strcmp(c->setup.tmpfs[i].target, "/stubborn") == 0)
			return error_set(err, E_CONFLICT, "'/stubborn' is in use in the container");
	if (file_exists(changes) && file_read(changes, 65536, &text, err) < 0)
		return -(int)err->code;
	buffer_add_char(&text, '.');
	return file_write_atomic(changes, text.data, text.size, 0600, err);
}

WRAP(int, machine_grow_disk, const char *run_dir, const char *serial, uint64_t bytes,
     struct error *err)
{
	(void)run_dir;
	(void)serial;
	(void)bytes;
	(void)err;
	return 0;
}

WRAP(int, kernel_store_default, const struct host_paths *paths, struct kernel *ret,
     struct error *err)
{
	(void)paths;
	(void)err;
	*ret = (struct kernel){ .name = xstrdup("simulated"),
				.vmlinux = xstrdup("/kernel"),
				.initrd = xstrdup("/initrd"),
				.is_default = true };
	return 0;
}

WRAP(int, kernel_store_list, const struct host_paths *paths, struct kernel_list *ret,
     struct error *err)
{
	*ret = (struct kernel_list){ .items = xcalloc(1, sizeof(struct kernel)), .count = 1 };
	return __wrap_kernel_store_default(paths, &ret->items[0], err);
}

WRAP(int, qemu_find, char **ret_path, char **ret_version, struct error *err)
{
	(void)ret_path;
	(void)ret_version;
	(void)err;
	return 0;
}

WRAP(int, virtiofsd_find, char **ret_path, struct error *err)
{
	(void)err;
	*ret_path = xstrdup("/virtiofsd");
	return 0;
}

WRAP(void, memory_facts_read, struct memory_facts *ret)
{
	ret->total_bytes = ret->available_bytes = UINT64_C(1) << 50;
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
