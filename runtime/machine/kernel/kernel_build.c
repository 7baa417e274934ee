/* SPDX-License-Identifier: MIT */
/* Builds a guest kernel from the distribution's source. */
/*
 * DOC: Theory of Operation
 *
 * The source is unpacked below the cache folder, configured with every setting of ours and no
 * other, built, and installed as a kernel file is. What came out of the same source, configuration
 * and compiler is not built again. One build at a time: the lock also removes what a killed one
 * left. The output of the tools goes to a file, which stays only after a failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/machine/kernel/kernel_config.h"
#include "runtime/machine/kernel/kernel_internal.h"

enum { CONFIG_MAX = 4 << 20, VERSION_MAX = 1 << 16, LOST_SHOWN = 10, TOOLS_END_MS = 2000 };

/* What a build runs or includes, and Debian's package of it. */
static const struct {
	const char *file, *package;
} tools[] = {
	{ "tar", "tar" },
	{ "xz", "xz-utils" },
	{ "make", "make" },
	{ "gcc", "gcc" },
	{ "ld", "binutils" },
	{ "flex", "flex" },
	{ "bison", "bison" },
	{ "bc", "bc" },
	{ "perl", "perl" },
	{ "nice", "coreutils" },
	{ "/usr/include/libelf.h", "libelf-dev" },
	{ "/usr/include/stdio.h", "libc6-dev" },
};

struct build {
	const struct host_paths *paths;
	const struct kernel_build_options *options;
	char *source;         /* owned: the archive */
	struct buffer config; /* a text */
	char *dir;            /* owned: the unpacked source; removed with this */
	char *log;            /* owned: where the tools' output goes */
};

static void build_release(struct build *b)
{
	AUTO_ERROR err = ERROR_INIT;
	if (b->dir && dir_remove_tree(b->dir, &err) < 0)
		error_ignore(&err, "remove a kernel's source");
	free(b->source);
	buffer_release(&b->config);
	free(b->dir);
	free(b->log);
}
#define AUTO_BUILD CLEANUP(build_release) struct build

static void say(const struct build *b, const char *what)
{
	if (b->options->step)
		b->options->step(b->options->arg, what);
}

static bool tool_is_here(const char *name)
{
	AUTO_FREE char *path = name[0] == '/' ? xstrdup(name) : program_find(name);
	return path && file_exists(path);
}

static int check_tools(const char *source, struct error *err)
{
	AUTO_STRLIST missing = STRLIST_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (!tool_is_here(tools[i].file))
			strlist_add(&missing, tools[i].package);
	if (!source)
		strlist_add(&missing, "linux-source");
	if (missing.count == 0)
		return 0;
	AUTO_FREE char *list = strlist_join(&missing, " ");
	return error_set(err, E_NOT_FOUND,
			 "packages to build a kernel with are missing: run as root 'apt-get "
			 "install --no-install-recommends %s'",
			 list);
}

/* Debian's linux-source packages put an archive each there; the newest by version. */
static char *newest_source(void)
{
	glob_t found = { 0 };
	const char *best = NULL;
	if (glob("/usr/src/linux-source-*.tar.xz", GLOB_NOSORT, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (!best || strverscmp(found.gl_pathv[i], best) > 0)
				best = found.gl_pathv[i];
	char *path = best ? xstrdup(best) : NULL;
	globfree(&found);
	return path;
}

static int load_config(struct build *b, struct error *err)
{
	size_t size = 0;
	if (b->options->config)
		return file_read(b->options->config, CONFIG_MAX, &b->config, err);
	const void *own = kernel_config(&size);
	buffer_add(&b->config, own, size);
	return 0;
}

static int file_digest(struct digest *d, const char *path, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[1 << 16];
	ssize_t n = 0;
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		digest_add(d, chunk, (size_t)n);
	return n < 0 ? error_sys(err, "read '%s'", path) : 0;
}

/* A name for all that decides what comes out; @ret has room for DIGEST_HEX_MAX + 1 bytes. */
static int name_inputs(const struct build *b, char *ret, struct error *err)
{
	static const char *const version[] = { "gcc", "--version", NULL };
	CLEANUP(digest_free_p) struct digest *d = digest_new(DIGEST_SHA256);
	AUTO_BUFFER compiler = BUFFER_INIT;
	int r = process_run(version, &compiler, VERSION_MAX, err);
	if (r == 0)
		r = file_digest(d, b->source, err);
	if (r < 0)
		return r;
	digest_add(d, compiler.data, compiler.size);
	digest_add(d, b->config.data, b->config.size);
	digest_hex(d, ret);
	return 0;
}

/* Runs a tool in the source's folder, at the lowest priority, its output to the log. */
static int run_tool(const struct build *b, struct strlist *argv, struct error *err)
{
	AUTO_CLOSE int log = open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	int status = 0;
	if (log < 0)
		return error_sys(err, "open '%s'", b->log);
	memcpy(&o.argv, &argv->items, sizeof(o.argv));
	o.cwd = b->dir;
	o.stdout_fd = log;
	o.stderr_fd = log;
	o.die_with_parent = true;
	int r = process_spawn(&o, &p, err);
	if (r == 0)
		r = process_wait(&p, -1, &status, err);
	process_end(&p, TOOLS_END_MS);
	if (r == 0 && status != 0)
		r = error_set(err, E_SYSTEM, "'%s' failed with status %d: '%s' has its output",
			      argv->items[3], status, b->log);
	return r;
}

static void start_tool(struct strlist *argv, const char *tool)
{
	strlist_add(argv, "nice");
	strlist_add(argv, "-n");
	strlist_add(argv, "19");
	strlist_add(argv, tool);
}

/* Names of the builder and times would make two builds differ. */
static int run_make(const struct build *b, const char *target, const char *setting,
		    struct error *err)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	start_tool(&argv, "make");
	strlist_printf(&argv, "-j%ld", cpus > 0 ? cpus : 1);
	strlist_add(&argv, "KBUILD_BUILD_USER=ctrz");
	strlist_add(&argv, "KBUILD_BUILD_HOST=ctrz");
	strlist_add(&argv, "KBUILD_BUILD_TIMESTAMP=@0");
	if (setting)
		strlist_add(&argv, setting);
	strlist_add(&argv, target);
	return run_tool(b, &argv, err);
}

static int unpack(const struct build *b, struct error *err)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	int r = dir_make(b->dir, 0700, err);
	if (r < 0)
		return r;
	start_tool(&argv, "tar");
	strlist_add(&argv, "-xf");
	strlist_add(&argv, b->source);
	strlist_add(&argv, "--strip-components=1");
	return run_tool(b, &argv, err);
}

static int report_lost(const struct build *b, const struct strlist *lost, struct error *err)
{
	AUTO_STRLIST shown = STRLIST_INIT;
	for (size_t i = 0; i < lost->count && i < LOST_SHOWN; i++)
		strlist_take(&shown, text_escaped(lost->items[i]));
	AUTO_FREE char *list = strlist_join(&shown, ", ");
	return error_set(err, E_INVALID,
			 "'%s' does not take %zu settings of the configuration as they are: %s%s",
			 b->source, lost->count, list, lost->count > LOST_SHOWN ? ", ..." : "");
}

static int configure(const struct build *b, struct error *err)
{
	AUTO_FREE char *wanted = path_join(b->dir, "ctrz.config");
	AUTO_FREE char *made = path_join(b->dir, ".config");
	AUTO_FREE char *setting = xasprintf("KCONFIG_ALLCONFIG=%s", wanted);
	AUTO_STRLIST lost = STRLIST_INIT;
	AUTO_BUFFER got = BUFFER_INIT;
	int r = file_write_atomic(wanted, b->config.data, b->config.size, 0600, err);
	if (r == 0)
		r = run_make(b, "allnoconfig", setting, err);
	if (r == 0)
		r = file_read(made, CONFIG_MAX, &got, err);
	if (r < 0)
		return r;
	AUTO_BUFFER text = BUFFER_INIT;
	buffer_add(&text, b->config.data, b->config.size);
	kernel_config_lost(buffer_str(&text), buffer_str(&got), &lost);
	return lost.count > 0 ? report_lost(b, &lost, err) : 0;
}

/* The kernel without symbols for debuggers, which QEMU would read at each start. */
static int compile(const struct build *b, char **ret_image, struct error *err)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	AUTO_FREE char *image = path_join(b->dir, "vmlinux");
	int r = run_make(b, "vmlinux", NULL, err);
	if (r < 0)
		return r;
	start_tool(&argv, "strip");
	strlist_add(&argv, "--strip-all");
	strlist_add(&argv, image);
	r = run_tool(b, &argv, err);
	if (r == 0)
		*ret_image = TAKE_PTR(image);
	return r;
}

static int build_and_install(struct build *b, const char *inputs, struct kernel *ret,
			     struct error *err)
{
	AUTO_FREE char *image = NULL;
	say(b, "unpacking the source");
	int r = unpack(b, err);
	if (r < 0)
		return r;
	say(b, "configuring");
	r = configure(b, err);
	if (r < 0 || b->options->check_only)
		return r;
	say(b, "compiling (minutes, at the lowest priority)");
	r = compile(b, &image, err);
	if (r < 0)
		return r;
	AUTO_FREE char *about = xasprintf("built from %s", path_basename(b->source));
	return kernel_install_built(b->paths, image, about, inputs, ret, err);
}

/* What was built before is the default again. */
static int take_built(const struct host_paths *paths, struct kernel *k, struct error *err)
{
	int r = kernel_store_use(paths, k->name, err);
	if (r < 0)
		kernel_release(k);
	k->is_default = r == 0;
	return r;
}

int kernel_store_build(const struct host_paths *paths, const struct kernel_build_options *o,
		       struct kernel *ret, struct error *err)
{
	AUTO_BUILD b = { .paths = paths, .options = o };
	AUTO_FREE char *lock_path = path_join(paths->cache, "kernel-build.lock");
	char inputs[DIGEST_HEX_MAX + 1];
	*ret = (struct kernel){ 0 };
	b.source = o->source ? realpath(o->source, NULL) : newest_source();
	if (o->source && !b.source)
		return error_sys(err, "the kernel's source '%s'", o->source);
	int r = check_tools(b.source, err);
	if (r == 0)
		r = load_config(&b, err);
	if (r == 0)
		r = name_inputs(&b, inputs, err);
	if (r < 0)
		return error_wrap(err, "build a kernel");
	AUTO_CLOSE int lock = lock_file(lock_path, LOCK_WAIT, err);
	if (lock < 0)
		return lock;
	if (!o->check_only && kernel_find_built(paths, inputs, ret))
		return take_built(paths, ret, err);
	b.dir = path_join(paths->cache, "kernel-build");
	b.log = path_join(paths->cache, "kernel-build.log");
	r = dir_remove_tree(b.dir, err);
	if (r == 0)
		r = file_remove(b.log, err);
	if (r == 0)
		r = build_and_install(&b, inputs, ret, err);
	if (r < 0)
		return error_wrap(err, "build a kernel");
	return file_remove(b.log, err);
}
