/* SPDX-License-Identifier: MIT */
/* ctrz doctor: whether this host has what is needed, and what to do. */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "runtime/machine/accelerator.h"
#include "runtime/machine/kernel_store.h"
#include "runtime/share/share.h"

enum verdict { CHECK_OK, CHECK_NOTE, CHECK_FAILED };

static const char *const verdict_names[] = { "ok", "note", "FAILED" };

/* What one check found. */
struct finding {
	const char *name;
	enum verdict verdict;
	char *text; /* owned; what was found */
	char *help; /* owned; what to do; NULL = nothing */
};

static void found(struct finding *f, enum verdict verdict, char *text, const char *help)
{
	f->verdict = verdict;
	f->text = text;
	f->help = xstrdup_null(help);
}

static void failed(struct finding *f, struct error *err)
{
	found(f, CHECK_FAILED, xstrdup(error_message(err)), NULL);
	error_clear(err);
}

static void check_qemu(struct cli *cli, struct finding *f)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *path = NULL, *version = NULL;
	(void)cli;
	if (qemu_find(&path, &version, &err) < 0)
		failed(f, &err);
	else
		found(f, CHECK_OK, xasprintf("%s, version %s", path, version), NULL);
	free(TAKE_PTR(version));
}

static void check_accelerator(struct cli *cli, struct finding *f)
{
	AUTO_ERROR err = ERROR_INIT;
	struct accelerator a = { 0 };
	if (accelerator_find(&cli->paths, &a, &err) < 0)
		failed(f, &err);
	else if (a.kvm)
		found(f, CHECK_OK, xasprintf("KVM: %s", a.reason ? a.reason : "a probe guest ran"),
		      NULL);
	else
		found(f, CHECK_NOTE,
		      xasprintf("software emulation (TCG): %s", a.reason ? a.reason : "no KVM"),
		      "everything works, more slowly; for speed, use a host where KVM runs guests");
	accelerator_release(&a);
}

static void check_kernel(struct cli *cli, struct finding *f)
{
	AUTO_ERROR err = ERROR_INIT;
	struct kernel k = { 0 };
	if (kernel_store_default(&cli->paths, &k, &err) < 0)
		failed(f, &err);
	else
		found(f, CHECK_OK, xasprintf("%s, Linux %s", k.name, k.release), NULL);
	kernel_release(&k);
}

static void check_virtiofsd(struct cli *cli, struct finding *f)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *path = NULL;
	(void)cli;
	if (virtiofsd_find(&path, &err) < 0)
		failed(f, &err);
	else
		found(f, CHECK_OK, xstrdup(path), NULL);
}

/* Whether a child of ours may make the namespaces that the jail is built from. Return: 0 or an
 * errno */
static int try_namespaces(int flags)
{
	pid_t pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(unshare(flags) < 0 ? errno : 0);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static void check_namespaces(struct cli *cli, struct finding *f)
{
	int user = geteuid() == 0 ? 0 : CLONE_NEWUSER;
	int number =
		try_namespaces(user | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC);
	(void)cli;
	if (number == 0)
		found(f, CHECK_OK,
		      xasprintf("%smount, network and process namespaces", user ? "user, " : ""),
		      NULL);
	else
		found(f, CHECK_FAILED,
		      xasprintf("cannot make namespaces: %s", strerrorname_np(number)),
		      "let ordinary users make them: sysctl kernel.unprivileged_userns_clone=1");
}

/* Whether /etc/subuid or /etc/subgid gives the user a range. */
static bool has_range(const char *path, const struct passwd *user)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_FREE char *by_name = xasprintf("\n%s:", user->pw_name);
	AUTO_FREE char *by_id = xasprintf("\n%u:", (unsigned)user->pw_uid);
	buffer_add_char(&text, '\n');
	if (file_read(path, 1 << 20, &text, &err) < 0) {
		error_ignore(&err, "read the ranges of sub-ids");
		return false;
	}
	return strstr(buffer_str(&text), by_name) || strstr(buffer_str(&text), by_id);
}

static void check_ids(struct cli *cli, struct finding *f)
{
	(void)cli;
	if (geteuid() == 0) {
		found(f, CHECK_OK, xstrdup("not needed by root"), NULL);
		return;
	}
	const struct passwd *user =
		getpwuid(geteuid()); /* NOLINT(concurrency-mt-unsafe): one thread */
	bool tools = file_exists("/usr/bin/newuidmap") && file_exists("/usr/bin/newgidmap");
	bool ranges = user && has_range("/etc/subuid", user) && has_range("/etc/subgid", user);
	if (tools && ranges)
		found(f, CHECK_OK, xstrdup("newuidmap, and ranges in /etc/subuid and /etc/subgid"),
		      NULL);
	else
		found(f, CHECK_NOTE,
		      xstrdup(tools ? "no range of ids in /etc/subuid and /etc/subgid"
				    : "no newuidmap"),
		      "shared folders then know one owner only; as root: apt-get install uidmap, "
		      "then usermod "
		      "--add-subuids 100000-165535 --add-subgids 100000-165535 USER");
}

static void check_space(struct cli *cli, struct finding *f)
{
	struct statvfs s;
	AUTO_FREE char *dir = xstrdup(cli->paths.data);
	while (statvfs(dir, &s) < 0 && strcmp(dir, "/") != 0) {
		char *up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	uint64_t bytes = (uint64_t)s.f_bavail * s.f_frsize;
	AUTO_FREE char *size = text_size(bytes);
	char *text = xasprintf("%s free for %s", size, cli->paths.data);
	if (bytes < (uint64_t)2 << 30)
		found(f, CHECK_NOTE, text,
		      "images and disks may not fit; free some with: ctrz image prune");
	else
		found(f, CHECK_OK, text, NULL);
}

static const struct {
	const char *name;
	void (*run)(struct cli *cli, struct finding *f);
} checks[] = {
	{ "qemu", check_qemu },
	{ "accelerator", check_accelerator },
	{ "kernel", check_kernel },
	{ "virtiofsd", check_virtiofsd },
	{ "namespaces", check_namespaces },
	{ "ids", check_ids },
	{ "space", check_space },
};

static int print_findings(const struct cli *cli, const struct finding *f, struct error *err)
{
	static const enum color colors[] = { COLOR_GREEN, COLOR_YELLOW, COLOR_RED };
	AUTO_BUFFER b = BUFFER_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		AUTO_FREE char *text = text_escaped(f[i].text);
		enum color c = colors[f[i].verdict];
		buffer_printf(&b, "%s%-6s%s  %-12s %s\n", color_on(cli->color_out, c),
			      verdict_names[f[i].verdict], color_off(cli->color_out, c),
			      checks[i].name, text);
		if (f[i].help)
			buffer_printf(&b, "        %-12s %s\n", "", f[i].help);
	}
	return out_write(&b, err);
}

static int print_findings_json(const struct finding *f, struct error *err)
{
	AUTO_JSON a = json_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct json *o = json_new_object();
		json_set_string(o, "check", checks[i].name);
		json_set_string(o, "verdict",
				f[i].verdict == CHECK_FAILED ? "failed"
							     : verdict_names[f[i].verdict]);
		json_set_string(o, "text", f[i].text);
		json_set_string(o, "help", f[i].help);
		json_add(a, o);
	}
	return out_json(a, err);
}

static int run_doctor(struct cli *cli, const struct options *o, struct error *err)
{
	struct finding findings[ARRAY_SIZE(checks)] = { 0 };
	int code = EXIT_OK;
	(void)o;
	int r = host_paths_make(&cli->paths, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		checks[i].run(cli, &findings[i]);
		if (findings[i].verdict == CHECK_FAILED)
			code = EXIT_FAILED;
	}
	r = cli->json ? print_findings_json(findings, err) : print_findings(cli, findings, err);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		free(findings[i].text);
		free(findings[i].help);
	}
	return r < 0 ? r : code;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "check this host and say what is missing",
	.text = "Exit code 0 if everything needed is there, 1 if something is missing.",
	.run = run_doctor,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};
