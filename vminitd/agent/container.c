/* SPDX-License-Identifier: MIT */
/* Setting the container up and making its processes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/random.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "vminitd/agent/cgroup.h"
#include "vminitd/agent/container.h"
#include "vminitd/agent/dev.h"
#include "vminitd/agent/inroot.h"
#include "vminitd/agent/names.h"
#include "vminitd/agent/network.h"
#include "vminitd/agent/passwd.h"
#include "vminitd/agent/phases.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/sysctl.h"
#include "vminitd/agent/sysfile.h"
#include "vminitd/agent/warm.h"

void container_init(struct container *c)
{
	*c = (struct container){
		.root = ROOT_INIT,
		.cgroup_fd = -1,
		.own_pid_ns = -1,
		.first_pidfd = -1,
		.init_fd = -1,
		.name_fds = { -1, -1, -1 },
	};
}

int container_prepare(struct container *c, struct error *err)
{
	c->cgroup_fd = cgroup_prepare(err);
	if (c->cgroup_fd < 0)
		return c->cgroup_fd;
	c->own_pid_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (c->own_pid_ns < 0)
		return error_sys(err, "open the agent's pid namespace");
	sysctls_set_usual();
	network_no_ipv6();
	return network_loopback(err);
}

int clock_and_entropy(uint64_t unix_time_ns, const uint8_t *entropy, size_t size, struct error *err)
{
	/* struct rand_pool_info: bits, bytes, data. */
	struct {
		int bits, bytes;
		uint8_t data[SETUP_ENTROPY_MAX];
	} pool = { .bits = (int)size * 8, .bytes = (int)size };
	struct timespec now = { .tv_sec = (time_t)(unix_time_ns / 1000000000),
				.tv_nsec = (long)(unix_time_ns % 1000000000) };

	if (unix_time_ns > 0 && clock_settime(CLOCK_REALTIME, &now) < 0)
		return error_sys(err, "set the clock");
	if (size == 0)
		return 0;
	memcpy(pool.data, entropy, size);
	AUTO_CLOSE int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	/* Without the reseed a restored machine gives out what its siblings give out, for a while.
	 */
	int r = fd < 0 ? -1 : sys_ioctl(fd, RNDADDENTROPY, &pool);
	if (r == 0)
		r = sys_ioctl(fd, RNDRESEEDCRNG, NULL);
	explicit_bzero(&pool, sizeof(pool));
	return r < 0 ? error_sys(err, "mix entropy in") : 0;
}

int container_ready(struct container *c, const struct msg_setup *s, struct buffer *missing,
		    struct error *err)
{
	return root_ready(&c->root, s, missing, err);
}

/* The first @count processors are used; 0 = all there are. The first cannot be switched off.
 * Return: 0, -E_NOT_FOUND for one that has not come yet, -E_SYSTEM */
static int set_processors(uint32_t count, struct error *err)
{
	for (unsigned i = 1;; i++) {
		char path[64], is[8];
		bool wanted = count == 0 || i < count;

		(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", i);
		if (!sysfile_read(is, sizeof(is), "%s", path))
			return i >= count ? 0 : error_set(err, E_NOT_FOUND, "processor %u", i);
		if ((is[0] == '1') != wanted && sysfile_write(path, wanted ? "1" : "0", err) < 0)
			return -(int)err->code;
	}
}

int container_set_limits(struct container *c, const struct msg_limits *l, struct error *err)
{
	const struct msg_limits *old = &c->limits;
	bool is_live = c->is_set_up;
	int r = 0;

	/* What a guest that has just come has anyway is not set again: that is code of its kernel
	 * which would run once. */
	if (is_live || l->memory_bytes != old->memory_bytes || l->pids != old->pids)
		r = cgroup_limit(l->memory_bytes, l->pids, err);
	if (r == 0 && is_live && l->shm_bytes != old->shm_bytes)
		r = dev_resize_shm(c->root.fd, l->shm_bytes, err);
	if (r == 0 && (is_live || l->cpus != old->cpus))
		r = set_processors(l->cpus, err);
	if (r == 0)
		c->limits = *l;
	return r;
}

int container_set_filter(struct container *c, const struct msg_filter *f, struct error *err)
{
	if (f->program_size == 0 || f->program_size % FILTER_INSTRUCTION_BYTES)
		return error_set(err, E_INVALID, "%zu bytes are no filter", f->program_size);
	buffer_clear(&c->filter);
	buffer_add(&c->filter, f->program, f->program_size);
	return 0;
}

static struct setup_nic *find_nic(struct container *c, const struct setup_nic *n)
{
	for (size_t i = 0; i < c->setup.nic_count; i++)
		if (memcmp(c->setup.nics[i].mac, n->mac, sizeof(n->mac)) == 0)
			return &c->setup.nics[i];
	return NULL;
}

int container_set_nic(struct container *c, const struct setup_nic *n, struct error *err)
{
	int r = network_configure(n, 1, err);

	if (r < 0)
		return r;
	struct setup_nic *known = find_nic(c, n);
	if (known) {
		setup_nic_release(known);
	} else {
		c->setup.nics = xreallocarray(c->setup.nics, c->setup.nic_count + 1,
					      sizeof(*c->setup.nics));
		known = &c->setup.nics[c->setup.nic_count++];
	}
	setup_nic_copy(known, n);
	return 0;
}

void container_drop_nic(struct container *c, const struct setup_nic *n)
{
	struct setup_nic *known = find_nic(c, n);

	if (!known)
		return;
	size_t index = (size_t)(known - c->setup.nics);
	setup_nic_release(known);
	memmove(known, known + 1, (--c->setup.nic_count - index) * sizeof(*known));
}

static const char *const name_files[CONTAINER_NAME_FILES] = { "/etc/resolv.conf", "/etc/hosts",
							      "/etc/hostname" };

/* A file that was rehearsed is open, and has its block: to write to it takes far less of the
 * kernel. */
static int write_text(struct container *c, size_t i, const struct buffer *text, struct error *err)
{
	AUTO_CLOSE int rehearsed = take_fd(&c->name_fds[i]);

	if (rehearsed >= 0 && text->size > 0 && !root_has_mount_below(&c->root, "/etc"))
		return fd_write_full(rehearsed, text->data, text->size, err);
	return inroot_replace_file(c->root.fd, name_files[i], buffer_str(text), text->size, 0644, 0,
				   0, err);
}

static int rehearse_names(struct container *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CONTAINER_NAME_FILES; i++) {
		r = inroot_replace_file(c->root.fd, name_files[i], "\n", 1, 0644, 0, 0, err);
		if (r == 0)
			c->name_fds[i] = sys_open_in_root(c->root.fd, name_files[i],
							  O_WRONLY | O_NOFOLLOW, 0);
	}
	return r;
}

int container_write_names(struct container *c, const struct msg_names *n, struct error *err)
{
	AUTO_BUFFER resolv = BUFFER_INIT;
	AUTO_BUFFER hosts = BUFFER_INIT;
	AUTO_BUFFER hostname = BUFFER_INIT;
	const struct buffer *const texts[CONTAINER_NAME_FILES] = { &resolv, &hosts, &hostname };
	const char *address = c->setup.nic_count > 0 ? c->setup.nics[0].address : "";
	int r = names_resolv_conf(n, &resolv, err);

	if (r == 0)
		r = names_hosts(n, c->setup.hostname, address, &hosts, err);
	if (r == 0)
		buffer_printf(&hostname, "%s\n", c->setup.hostname);
	for (size_t i = 0; r == 0 && i < CONTAINER_NAME_FILES; i++)
		r = write_text(c, i, texts[i], err);
	return r;
}

/* A file of the container's tree; an image without it has an empty one. */
static void read_in_root(struct container *c, const char *path, struct buffer *out)
{
	AUTO_CLOSE int fd = sys_open_in_root(c->root.fd, path, O_RDONLY | O_NONBLOCK, 0);
	AUTO_ERROR why = ERROR_INIT;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    fd_read_all(fd, out, PASSWD_BYTES_MAX, &why) < 0)
		error_ignore(&why, "read the container's users");
}

static int find_owner(struct container *c, const char *owner, uint32_t *uid, uint32_t *gid,
		      struct error *err)
{
	AUTO_BUFFER passwd = BUFFER_INIT;
	AUTO_BUFFER group = BUFFER_INIT;
	struct identity id = IDENTITY_INIT;
	const struct strlist none = STRLIST_INIT;

	if (!owner[0])
		return 0;
	read_in_root(c, "/etc/passwd", &passwd);
	read_in_root(c, "/etc/group", &group);
	int r = identity_resolve(owner, &none, buffer_str(&passwd), buffer_str(&group), &id, err);
	if (r == 0) {
		*uid = id.uid;
		*gid = id.gid;
	}
	identity_release(&id);
	return r;
}

int container_write_file(struct container *c, const struct msg_write_file *w, struct error *err)
{
	uint32_t uid = w->uid, gid = w->gid;

	if (w->append)
		return inroot_append_file(c->root.fd, w->path, w->content, w->content_size, err);
	int r = find_owner(c, w->owner, &uid, &gid, err);
	if (r < 0)
		return error_wrap(err, "the owner of '%s'", w->link_at[0] ? w->link_at : w->path);
	r = inroot_replace_file(c->root.fd, w->path, w->content, w->content_size, w->mode & 07777,
				uid, gid, err);
	if (r == 0 && w->link_at[0])
		r = inroot_replace_link(c->root.fd, w->link_at, w->path, err);
	return r;
}

static pid_t fork_first(struct container *c, struct error *err)
{
	enum { FRESH = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS };

	/* One that is left from the process before would keep new ones out. */
	if (c->has_run)
		cgroup_clean();
	c->has_run = true;
	pid_t pid = sys_fork(FRESH, c->cgroup_fd);
	if (pid < 0)
		return error_sys(err, "start the container's first process");
	if (pid > 0) {
		c->first = pid;
		c->first_pidfd = sys_pidfd_open(pid);
	}
	return pid;
}

/* A container that divides its cgroup, as systemd does, may have no processes in it but only below:
 * a further one goes where the first is. */
static pid_t fork_beside_first(struct container *c)
{
	AUTO_ERROR why = ERROR_INIT;
	pid_t pid = sys_fork(0, c->cgroup_fd);

	if (pid >= 0 || errno != EBUSY)
		return pid;
	AUTO_CLOSE int fd = cgroup_of(c->first, &why);
	if (fd >= 0)
		return sys_fork(0, fd);
	error_ignore(&why, "find where the container's processes are");
	errno = EBUSY;
	return -1;
}

/* The pid namespace of a process is that of its parent's choice at the fork. */
static pid_t fork_joined(struct container *c, enum spawn_failure *kind, struct error *err)
{
	struct pollfd ended = { .fd = c->first_pidfd, .events = POLLIN };

	if (poll(&ended, 1, 0) > 0) {
		*kind = SPAWN_NO_CONTAINER;
		return error_set(err, E_UNAVAILABLE, "the container's main process has ended");
	}
	if (setns(c->first_pidfd, CLONE_NEWPID) < 0)
		return error_sys(err, "join the container");
	pid_t pid = fork_beside_first(c);
	int number = errno;
	if (pid != 0 && setns(c->own_pid_ns, CLONE_NEWPID) < 0)
		return error_sys(err, "return from the container");
	errno = number;
	return pid < 0 ? error_sys(err, "start a process in the container") : pid;
}

static pid_t start_init(struct container *c, const struct msg_setup *s, enum spawn_failure *kind,
			struct error *err)
{
	int pair[2];
	char report[LAUNCH_TEXT_MAX] = "";

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "make a socket pair");
	AUTO_CLOSE int ours = pair[0];
	AUTO_CLOSE int theirs = pair[1];
	struct launch init = { .report = theirs, .join_pidfd = -1, .setup = s };
	pid_t pid = fork_first(c, err);
	if (pid == 0)
		launch_init(&init);
	if (pid < 0)
		return pid;
	(void)close(take_fd(&theirs));
	ssize_t n = recv(ours, report, sizeof(report) - 1, 0);
	if (n == 1 && (uint8_t)report[0] == LAUNCH_REPORT_TERMINAL) {
		c->init_fd = take_fd(&ours);
		return pid;
	}
	*kind = SPAWN_SYSTEM;
	return error_set(err, E_SYSTEM, "%s", n > 1 ? report + 1 : "the container's init died");
}

pid_t container_fork(struct container *c, struct launch *l, enum spawn_failure *kind,
		     struct error *err)
{
	/* Of several processes none is the main one: the init of ours holds them together. */
	bool first = c->first == 0 && (l->spawn->is_main || c->setup.init);

	*kind = SPAWN_SYSTEM;
	if (first && c->setup.init) {
		pid_t init = start_init(c, &c->setup, kind, err);
		if (init < 0)
			return init;
		first = false;
	}
	l->setup = &c->setup;
	l->filter = &c->filter;
	if (first) {
		l->join_pidfd = -1;
		return fork_first(c, err);
	}
	if (c->first_pidfd < 0) {
		*kind = SPAWN_NO_CONTAINER;
		return error_set(err, E_UNAVAILABLE, "the container's main process does not run");
	}
	l->join_pidfd = c->first_pidfd;
	return fork_joined(c, kind, err);
}

void container_reaped(struct container *c, pid_t pid)
{
	if (pid != c->first)
		return;
	c->first = 0;
	if (c->first_pidfd >= 0)
		(void)close(take_fd(&c->first_pidfd));
}

int container_rehearse(struct container *c, const struct msg_setup *s, struct error *err)
{
	enum spawn_failure kind;

	if (c->is_set_up || c->is_rehearsed || c->setup.hostname)
		return error_set(err, E_CONFLICT, "there is a container already");
	int r = clock_and_entropy(s->unix_time_ns, s->entropy, s->entropy_size, err);
	if (r == 0)
		r = root_build(&c->root, s, err);
	if (r == 0)
		r = rehearse_names(c, err);
	if (r == 0 && start_init(c, s, &kind, err) < 0)
		r = -(int)err->code;
	if (r == 0)
		warm_up(c->root.fd);
	/* Whoever boots with a copy of the disk finds it whole. */
	if (r == 0)
		r = root_sync(&c->root, err);
	c->is_rehearsed = r == 0;
	return r;
}

/* As the init would say it of itself. */
static int name_host(struct container *c, struct error *err)
{
	const char *name = c->setup.hostname;
	AUTO_CLOSE int own = sys_pidfd_open(getpid());

	if (own < 0 || setns(c->first_pidfd, CLONE_NEWUTS) < 0)
		return error_sys(err, "join the container to name its host");
	int r = sethostname(name, strlen(name)) < 0 ? error_sys(err, "set the host name '%s'", name)
						    : 0;
	if (setns(own, CLONE_NEWUTS) < 0)
		return error_sys(err, "return from the container");
	return r;
}

/* Of what was rehearsed only the host's name is still to be told; whoever wants more was to start
 * from another template. */
static int take_over(struct container *c, struct error *err)
{
	const struct msg_setup *s = &c->setup;

	if (!setup_is_rehearsed(s) || c->first == 0)
		return error_set(err, E_CONFLICT,
				 "the machine was made ready for another container");
	return name_host(c, err);
}

int container_set_up(struct container *c, struct msg_setup *s, struct error *err)
{
	/* Taken over first: what fails half way is still there to be taken down. */
	c->setup = *s;
	*s = (struct msg_setup){ 0 };
	s = &c->setup;
	int r = phase_after("clock and entropy",
			    clock_and_entropy(s->unix_time_ns, s->entropy, s->entropy_size, err));
	if (s->entropy_size > 0)
		explicit_bzero(s->entropy, s->entropy_size);
	if (r == 0)
		r = root_build(&c->root, s, err);
	if (r == 0 && c->is_rehearsed)
		r = phase_after("take over", take_over(c, err));
	if (r == 0)
		r = phase_after("network", network_configure(s->nics, s->nic_count, err));
	if (r == 0)
		r = sysctls_set(s, SYSCTL_MACHINE, err);
	if (r == 0)
		r = phase_after("limits", container_set_limits(c, &s->limits, err));
	if (r == 0)
		r = phase_after("names", container_write_names(c, &s->names, err));
	c->is_set_up = r == 0;
	return r;
}
