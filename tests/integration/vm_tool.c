/* SPDX-License-Identifier: MIT */
/* Drives machines directly, below the orchestrator: what the integration tests of runtime/machine
 * use. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/guest/copy.h"
#include "runtime/guest/session.h"
#include "runtime/machine/kernel_store.h"
#include "runtime/machine/machine.h"
#include "runtime/share/share.h"

enum { ITEMS_MAX = 16, EXIT_TOOL = 125 };

static const char usage[] =
	"usage: vm_tool start|run|exec|stop|kill|status|stats|top|copy|kernel [options] [-- "
	"command]\n"
	"  --dir D        run folder D/run, state folder D/state\n"
	"  --lower F      an image's disk      --upper F    a writable disk\n"
	"  --share S:T:ro|rw                   --port DIR   a switch port's folder\n"
	"  --memory MIB   --cpus N   --tty   --stdin   --restart no|on-failure|always\n"
	"  --timeout MS   --kernel-args S   --user U   --signal N   --grace MS   --initrd F\n"
	"  --cold         boot, instead of starting from a template\n"
	"  copy: -- GUEST-PATH HOST-FOLDER\n";

struct options {
	const char *dir, *lower, *upper, *port, *kernel_args, *user, *initrd;
	char *shares[ITEMS_MAX];
	size_t share_count;
	uint64_t memory_mib, cpus, timeout_ms, grace_ms, sig;
	enum restart_policy restart;
	bool tty, open_stdin, attached, cold;
	char **argv;
};

static uint64_t number(const char *s)
{
	uint64_t v = 0;
	if (!parse_u64(s, UINT32_MAX, &v))
		log_error("'%s' is no number", s);
	return v;
}

static enum restart_policy restart_of(const char *s)
{
	return strcmp(s, "always") == 0       ? RESTART_ALWAYS
	       : strcmp(s, "on-failure") == 0 ? RESTART_ON_FAILURE
					      : RESTART_NO;
}

static void set_option(struct options *o, int which, char *value)
{
	switch (which) {
	case 'd':
		o->dir = value;
		break;
	case 'l':
		o->lower = value;
		break;
	case 'u':
		o->upper = value;
		break;
	case 's':
		if (o->share_count < ITEMS_MAX)
			o->shares[o->share_count++] = value;
		break;
	case 'p':
		o->port = value;
		break;
	case 'm':
		o->memory_mib = number(value);
		break;
	case 'c':
		o->cpus = number(value);
		break;
	case 'T':
		o->timeout_ms = number(value);
		break;
	case 'g':
		o->grace_ms = number(value);
		break;
	case 'S':
		o->sig = number(value);
		break;
	case 'r':
		o->restart = restart_of(value);
		break;
	case 'a':
		o->kernel_args = value;
		break;
	case 'U':
		o->user = value;
		break;
	case 'I':
		o->initrd = value;
		break;
	case 't':
		o->tty = true;
		break;
	case 'C':
		o->cold = true;
		break;
	case 'i':
		o->open_stdin = true;
		break;
	default:
		break;
	}
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "lower", required_argument, NULL, 'l' },
		{ "upper", required_argument, NULL, 'u' },
		{ "share", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "memory", required_argument, NULL, 'm' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "grace", required_argument, NULL, 'g' },
		{ "signal", required_argument, NULL, 'S' },
		{ "restart", required_argument, NULL, 'r' },
		{ "kernel-args", required_argument, NULL, 'a' },
		{ "user", required_argument, NULL, 'U' },
		{ "initrd", required_argument, NULL, 'I' },
		{ "tty", no_argument, NULL, 't' },
		{ "stdin", no_argument, NULL, 'i' },
		{ "cold", no_argument, NULL, 'C' },
		{ NULL, 0, NULL, 0 },
	};
	int which;

	*o = (struct options){ .dir = "/tmp/vm_tool",
			       .memory_mib = 256,
			       .cpus = 1,
			       .sig = SIGTERM,
			       .grace_ms = 5000 };
	while ((which = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (which == '?')
			return false;
		set_option(o, which, optarg);
	}
	o->argv = argv + optind;
	return true;
}

static void add_disk(struct machine_config *c, const char *path, const char *serial,
		     enum disk_role role)
{
	if (!path)
		return;
	c->disks[c->disk_count++] = (struct machine_disk){ .serial = xstrdup(serial),
							   .path = xstrdup(path),
							   .read_only = role == DISK_LOWER };
	c->setup.disks[c->setup.disk_count++] = (struct setup_disk){
		.serial = xstrdup(serial), .role = role, .read_only = role == DISK_LOWER
	};
}

static void add_share(struct machine_config *c, char *text)
{
	char *rest = NULL;
	const char *source = strtok_r(text, ":", &rest);
	const char *target = strtok_r(NULL, ":", &rest);
	const char *mode = strtok_r(NULL, ":", &rest);
	bool read_only = !mode || strcmp(mode, "ro") == 0;
	char *tag = xasprintf("share%zu", c->share_count);

	c->shares[c->share_count++] =
		(struct machine_share){ xstrdup(tag), xstrdup(source), read_only, false };
	c->setup.shares[c->setup.share_count++] = (struct setup_share){ .tag = tag,
									.target = xstrdup(target),
									.read_only = read_only };
}

static void add_nic(struct machine_config *c, const char *port)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 2 };
	struct machine_nic n = { xstrdup("net0"), xstrdup(port), { 0 }, 1500 };
	struct setup_nic s = { .mtu = 1500,
			       .address = xstrdup("10.89.0.2"),
			       .prefix = 24,
			       .gateway = xstrdup("10.89.0.1") };

	memcpy(n.mac, mac, sizeof(mac));
	memcpy(s.mac, mac, sizeof(mac));
	c->nics = xcalloc(1, sizeof(*c->nics));
	c->setup.nics = xcalloc(1, sizeof(*c->setup.nics));
	c->nics[c->nic_count++] = n;
	c->setup.nics[c->setup.nic_count++] = s;
}

static void make_spawn(const struct options *o, struct msg_spawn *m)
{
	for (char **a = o->argv; *a; a++)
		strlist_add(&m->argv, *a);
	m->tty = o->tty;
	m->stdin_open = o->open_stdin;
	m->user = xstrdup(o->user ? o->user : "");
	m->working_dir = xstrdup("");
}

static int make_config(const struct options *o, struct machine_config *c, struct error *err)
{
	struct host_paths paths = { 0 };
	struct kernel kernel = { 0 };

	if (host_paths_init(&paths, err) < 0 || kernel_store_default(&paths, &kernel, err) < 0) {
		host_paths_release(&paths);
		return -(int)err->code;
	}
	c->name = xstrdup("test");
	c->run_dir = xasprintf("%s/run", o->dir);
	c->state_dir = xasprintf("%s/state", o->dir);
	c->kernel = xstrdup(kernel.vmlinux);
	c->initrd = xstrdup(o->initrd ? o->initrd : kernel.initrd);
	c->kernel_args = xstrdup_null(o->kernel_args);
	c->cpus = (unsigned)o->cpus;
	c->memory_bytes = o->memory_mib << 20;
	c->disks = xcalloc(2, sizeof(*c->disks));
	c->setup.disks = xcalloc(2, sizeof(*c->setup.disks));
	add_disk(c, o->lower, "lower0", DISK_LOWER);
	add_disk(c, o->upper, "upper", DISK_UPPER);
	c->shares = xcalloc(ITEMS_MAX, sizeof(*c->shares));
	c->setup.shares = xcalloc(ITEMS_MAX, sizeof(*c->setup.shares));
	for (size_t i = 0; i < o->share_count; i++)
		add_share(c, o->shares[i]);
	if (o->port)
		add_nic(c, o->port);
	c->setup.hostname = xstrdup("test");
	make_spawn(o, &c->main);
	c->restart = o->restart;
	c->attached = o->attached;
	c->cold = o->cold;
	c->start_timeout_ms = o->timeout_ms;
	kernel_release(&kernel);
	host_paths_release(&paths);
	return 0;
}

static int relay(const struct options *o, int sock, struct error *err)
{
	struct session_options s = { .stdin_fd = o->open_stdin ? 0 : -1,
				     .stdout_fd = 1,
				     .stderr_fd = 2,
				     .tty = o->tty,
				     .forward_signals = true };
	int code = 0;

	int r = session_run(sock, &s, &code, err);
	return r < 0 ? r : code;
}

static int stop(const struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	AUTO_FREE char *state = xasprintf("%s/state", o->dir);
	return machine_stop(run, state, (int)o->sig, o->grace_ms, err);
}

static int cmd_start(struct options *o, struct error *err)
{
	struct machine_config c = { 0 };
	int r = make_config(o, &c, err);

	if (r == 0)
		r = machine_start(&c, NULL, err);
	machine_config_release(&c);
	return r;
}

static int cmd_run(struct options *o, struct error *err)
{
	struct machine_config c = { 0 };
	int sock = -1;

	o->attached = true;
	int r = make_config(o, &c, err);
	if (r == 0)
		r = machine_start(&c, &sock, err);
	machine_config_release(&c);
	if (r < 0)
		return r;
	int code = relay(o, sock, err);
	AUTO_ERROR ignored = ERROR_INIT;
	if (stop(o, &ignored) < 0)
		log_warn("%s", error_message(&ignored));
	return code;
}

static int cmd_exec(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	struct msg_spawn m = { 0 };
	int sock = -1;

	make_spawn(o, &m);
	int r = machine_exec(run, &m, &sock, err);
	msg_spawn_release(&m);
	return r < 0 ? r : relay(o, sock, err);
}

static int cmd_stop(struct options *o, struct error *err)
{
	return stop(o, err);
}

static int cmd_kill(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	return machine_kill(run, (int)o->sig, "", err);
}

static int cmd_stats(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	struct msg_stats m;

	return machine_stats(run, &m, err);
}

static int cmd_top(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	struct msg_top m = { 0 };
	int r = machine_top(run, &m, err);

	msg_top_release(&m);
	return r;
}

static int take_frame(void *target, const struct frame *f, struct error *err)
{
	return copy_target_frame(target, f, err);
}

/* What is at a path inside, into a folder here. */
static int cmd_copy(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	struct msg_copy m = { .direction = COPY_FROM_GUEST, .path = o->argv[0] };
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct copy_target_options to = {
		.root = root, .path = o->argv[1], .name = "got", .mode_mask = 0777
	};
	CLEANUP(copy_target_free_p) struct copy_target *target = copy_target_new(&to);
	struct copy_sink sink = { take_frame, target };
	int sock = -1;
	int r = machine_copy(run, &m, &sock, err);

	return r < 0 ? r : guest_copy_out(sock, &sink, err);
}

static int cmd_status(struct options *o, struct error *err)
{
	AUTO_FREE char *run = xasprintf("%s/run", o->dir);
	AUTO_FREE char *state = xasprintf("%s/state", o->dir);
	static const char *const phases[] = { "absent",   "starting",   "running",
					      "stopping", "restarting", "exited" };
	struct machine_status s = { 0 };
	int r = machine_observe(run, state, &s, err);

	if (r < 0)
		return r;
	(void)printf("{\"phase\": \"%s\", \"keeper_pid\": %d, \"qemu_pid\": %d, \"exit_code\": %d, "
		     "\"restarts\": %u, \"error\": \"%s\"}\n",
		     phases[s.phase], (int)s.keeper_pid, (int)s.qemu_pid, s.exit_code, s.restarts,
		     s.error ? s.error : "");
	machine_status_release(&s);
	return 0;
}

static int cmd_kernel(struct options *o, struct error *err)
{
	struct host_paths paths = { 0 };
	struct kernel kernel = { 0 };
	int r = host_paths_init(&paths, err);

	(void)o;
	if (r == 0)
		r = host_paths_make(&paths, err);
	if (r == 0)
		r = kernel_store_install(&paths, "debian-cloud", NULL, &kernel, err);
	if (r == 0)
		(void)printf("%s %s %s\n", kernel.name, kernel.vmlinux, kernel.initrd);
	kernel_release(&kernel);
	host_paths_release(&paths);
	return r;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct options *, struct error *);
	} commands[] = { { "start", cmd_start },  { "run", cmd_run },   { "exec", cmd_exec },
			 { "stop", cmd_stop },    { "kill", cmd_kill }, { "status", cmd_status },
			 { "stats", cmd_stats },  { "top", cmd_top },   { "copy", cmd_copy },
			 { "kernel", cmd_kernel } };
	AUTO_ERROR err = ERROR_INIT;
	struct options o;

	if (argc >= 2 && strcmp(argv[1], "__keeper") == 0)
		return keeper_main(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "__share") == 0)
		return share_main(argc - 1, argv + 1);
	if (argc < 2 || !parse(argc - 1, argv + 1, &o)) {
		(void)fputs(usage, stderr);
		return EXIT_TOOL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		int r = commands[i].run(&o, &err);
		if (r >= 0)
			return r;
		(void)fprintf(stderr, "vm_tool: %s: %s\n", error_code_name(err.code),
			      error_message(&err));
		return EXIT_TOOL;
	}
	(void)fputs(usage, stderr);
	return EXIT_TOOL;
}
