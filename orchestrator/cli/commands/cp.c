/* SPDX-License-Identifier: MIT */
/* ctrz cp: files between the host and a running container. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "orchestrator/state/env_store.h"
#include "runtime/guest/copy.h"
#include "runtime/machine/machine.h"

/* One side of a copy. */
struct side {
	char *container; /* owned; NULL = the host */
	char *path;      /* owned, absolute */
	bool is_stream;  /* "-": a tar archive on a standard stream */
};

static void side_release(struct side *s)
{
	free(s->container);
	free(s->path);
}

#define AUTO_SIDE CLEANUP(side_release) struct side

struct cp {
	struct cli *cli;
	const struct options *o;
	int root;      /* "/" of the host; lent */
	char *run_dir; /* owned */
	struct copy_counts counts;
};

/* "web:/etc/hosts" is in a container, unless it looks like a path up to the colon. */
static void parse_side(const char *operand, struct side *ret)
{
	const char *colon = strchr(operand, ':');
	const char *slash = strchr(operand, '/');
	bool is_host = !colon || *operand == '.' || (slash && slash < colon);

	*ret = (struct side){ .is_stream = str_equal(operand, "-") };
	if (is_host) {
		AUTO_FREE char *here = getcwd(NULL, 0);
		ret->path = path_join(here ? here : "/", operand);
		return;
	}
	ret->container = xstrndup(operand, (size_t)(colon - operand));
	ret->path = path_join("/", colon + 1);
}

static int select_machine(struct cp *cp, const char *name, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	struct container_record *c = NULL;
	int r = select_environment(cp->cli, cp->o, &env, err);

	if (r == 0)
		r = select_container(&env, name, &c, err);
	if (r < 0)
		return r;
	return session_check_running(&cp->cli->paths, &env, c, &cp->run_dir, err);
}

static int next_of_source(void *arg, struct buffer *out, struct error *err)
{
	return copy_source_next(arg, out, err);
}

static int next_of_tar(void *arg, struct buffer *out, struct error *err)
{
	return tar_frames_next(arg, out, err);
}

static int frame_to_target(void *arg, const struct frame *f, struct error *err)
{
	return copy_target_frame(arg, f, err);
}

static int frame_to_tar(void *arg, const struct frame *f, struct error *err)
{
	return tar_sink_frame(arg, f, err);
}

/* What the path of the source is called where it goes. */
static char *name_of(const char *path)
{
	AUTO_FREE char *clean = path_clean(path);

	return xstrdup(path_basename(clean));
}

static int copy_in(struct cp *cp, const struct side *from, const struct side *to, struct error *err)
{
	CLEANUP(copy_source_free_p) struct copy_source *source = NULL;
	CLEANUP(tar_frames_free_p) struct tar_frames *tar = NULL;
	AUTO_FREE char *name = name_of(from->path);
	struct copy_frames frames;
	struct msg_copy m = { .direction = COPY_TO_GUEST,
			      .path = to->path,
			      .name = name,
			      .contents = copy_path_contents(from->path),
			      .keeps_owner = option_given(cp->o, "archive") };
	int sock = -1, r = 0;

	if (from->is_stream) {
		tar = tar_frames_new(0);
		frames = (struct copy_frames){ next_of_tar, tar };
	} else {
		r = copy_source_open(cp->root, from->path, option_given(cp->o, "follow-link"),
				     &source, err);
		frames = (struct copy_frames){ next_of_source, source };
	}
	if (r == 0)
		r = machine_copy(cp->run_dir, &m, &sock, err);
	if (r == 0)
		r = guest_copy_in(sock, &frames, err);
	cp->counts = tar ? *tar_frames_counts(tar) : cp->counts;
	cp->counts = source ? *copy_source_counts(source) : cp->counts;
	return r;
}

static int copy_out(struct cp *cp, const struct side *from, const struct side *to,
		    struct error *err)
{
	AUTO_FREE char *name = name_of(from->path);
	bool contents = copy_path_contents(from->path);
	struct copy_target_options options = { .root = cp->root,
					       .path = to->path,
					       .name = name,
					       .contents = contents,
					       .keeps_owner = geteuid() == 0 &&
							      option_given(cp->o, "archive"),
					       .mode_mask = 0777 };
	CLEANUP(copy_target_free_p) struct copy_target *target = NULL;
	CLEANUP(tar_sink_free_p) struct tar_sink *tar = NULL;
	struct copy_sink sink;
	struct msg_copy m = { .direction = COPY_FROM_GUEST,
			      .path = from->path,
			      .follows = option_given(cp->o, "follow-link") };
	int sock = -1, r = 0;

	if (to->is_stream) {
		r = tar_sink_new(1, contents ? "." : name, &tar, err);
		sink = (struct copy_sink){ frame_to_tar, tar };
	} else {
		target = copy_target_new(&options);
		sink = (struct copy_sink){ frame_to_target, target };
	}
	if (r == 0)
		r = machine_copy(cp->run_dir, &m, &sock, err);
	if (r == 0)
		r = guest_copy_out(sock, &sink, err);
	if (r == 0)
		cp->counts = tar ? *tar_sink_counts(tar) : *copy_target_counts(target);
	return r;
}

static void say(const struct cp *cp)
{
	AUTO_FREE char *size = text_size(cp->counts.bytes);

	if (cp->cli->quiet)
		return;
	(void)fprintf(stderr, "copied %llu %s, %s\n", (unsigned long long)cp->counts.files,
		      cp->counts.files == 1 ? "file" : "files", size);
	if (cp->counts.skipped)
		(void)fprintf(stderr,
			      "left out %llu that are no files: devices, sockets, pipes, /proc\n",
			      (unsigned long long)cp->counts.skipped);
	if (cp->counts.bare)
		(void)fprintf(stderr, "%llu lost extended attributes, which have no place there\n",
			      (unsigned long long)cp->counts.bare);
}

static int run_cp(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_SIDE from = { 0 };
	AUTO_SIDE to = { 0 };
	struct cp cp = { .cli = cli, .o = o, .root = -1 };
	int r;

	parse_side(option_arg(o, 0), &from);
	parse_side(option_arg(o, 1), &to);
	if (!from.container == !to.container)
		return cli_usage(cli, err,
				 "one of the two is in a container, written NAME:PATH, and the "
				 "other on the host%s",
				 from.container
					 ? "; between containers: ctrz cp A:PATH - | ctrz cp "
					   "- B:FOLDER"
					 : "");
	if (to.is_stream && isatty(1))
		return cli_usage(cli, err, "a tar archive is not for a terminal: ... - >FILE.tar");
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, "open /");
	cp.root = root;
	r = select_machine(&cp, from.container ? from.container : to.container, err);
	if (r == 0)
		r = to.container ? copy_in(&cp, &from, &to, err) : copy_out(&cp, &from, &to, err);
	free(cp.run_dir);
	if (r < 0)
		return error_wrap(err, "copy '%s'", option_arg(o, 0));
	say(&cp);
	return 0;
}

static const struct option_def cp_options[] = {
	{ .name = "archive",
	  .letter = 'a',
	  .help = "keep owners (numbers), and set-user-id inside" },
	{ .name = "follow-link",
	  .letter = 'L',
	  .help = "if SOURCE is a symbolic link, copy what it leads to" },
	OPTIONS_END,
};

const struct command cmd_cp = {
	.name = "cp",
	.operands = "NAME:SOURCE TARGET | SOURCE NAME:TARGET",
	.summary = "copy files into or out of a running container",
	.text = "A folder is copied with what is in it; \"FOLDER/.\" is only what is in it. If "
		"TARGET is "
		"a folder, the copy goes into it, under its own name; if it is not there, it "
		"becomes "
		"the copy, and the folder above it must be there. A TARGET that ends with / must "
		"be a "
		"folder.\n\n"
		"- for SOURCE or TARGET is a tar archive on standard input or output. Symbolic "
		"links "
		"are copied as they are. Files belong to root inside and to you outside; devices, "
		"sockets and pipes are left out. Holes, further names of a file and its "
		"attributes (user.*) come along.",
	.example = "ctrz cp web:/etc/nginx .\nctrz cp site/. web:/srv\nctrz cp web:/srv - | tar t",
	.options = cp_options,
	.run = run_cp,
	.flags = COMMAND_ENVIRONMENT,
	.min_args = 2,
	.max_args = 2,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_FILE,
};
