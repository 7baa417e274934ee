/* SPDX-License-Identifier: MIT */
/* What share_spawn() and the hidden command agree on, and the command's parts; private to this
 * folder. */
#ifndef CTRZ_RUNTIME_SHARE_SHARE_INTERNAL_H
#define CTRZ_RUNTIME_SHARE_SHARE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Descriptors of "ctrz __share". */
enum {
	SHARE_SOCKET_FD = 3, /* virtiofsd's listening socket */
	SHARE_FOLDER_FD,     /* the source, or the folder of a source that is a file; O_PATH */
	SHARE_SOURCE_FD,     /* O_PATH */
	SHARE_STATUS_FD,     /* to share_spawn(): lines, closed when virtiofsd runs */
	SHARE_FD_END,
};

/* Its last arguments. */
enum {
	SHARE_ARG_ACCESS, /* "ro" or "rw" */
	SHARE_ARG_GIT,    /* "git-rw" or "git-ro" */
	SHARE_ARG_FILE,   /* name of the file in the folder, "" for a folder */
	SHARE_ARG_SERVER, /* path of virtiofsd */
	SHARE_ARGS,
};

/* Where the source is mounted in the namespace of the server. */
#define SHARE_STAGE "/tmp"
#define SHARE_ROOT SHARE_STAGE "/source"

struct share_mount {
	const char *file; /* "" for a folder */
	bool read_only;
	bool git_writable;
};

/** share_mount_source() - in our new mount namespace, with the source's folder as working folder:
 * put the source at SHARE_ROOT as it is to be served */
int share_mount_source(const struct share_mount *m, struct error *err) MUST_CHECK;

/** git_guard() - make every .git below @root read-only, down to a bounded depth */
int git_guard(const char *root, struct error *err) MUST_CHECK;

/** share_filter_install() - a system call filter for the server: no setuid or setgid files, no
 * device nodes. @fake_setgroups: setgroups(2), which a namespace with one id forbids, does nothing
 * and succeeds */
int share_filter_install(bool fake_setgroups, struct error *err) MUST_CHECK;

/* A range of ids that /etc/subuid or /etc/subgid gives to a user. */
struct id_range {
	uint32_t start, count;
};

/** subid_find() - the first range of a user in the text of such a file; false if there is none */
bool subid_find(const char *text, const char *user, uid_t uid, struct id_range *ret);

/** id_map_write() - map ids for @pid, which is in a new user namespace: root there is us; the
 * others are our subordinate ids, if there are any. *ret_single: there are none, and root is the
 * only id */
int id_map_write(pid_t pid, bool *ret_single, struct error *err) MUST_CHECK;

#endif
