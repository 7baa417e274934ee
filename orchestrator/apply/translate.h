/* SPDX-License-Identifier: MIT */
/* From a container of the spec to the machine that runs it. Pure: everything it needs is given. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_TRANSLATE_H
#define CTRZ_ORCHESTRATOR_APPLY_TRANSLATE_H

#include "base/error.h"
#include "orchestrator/apply/contents.h"
#include "orchestrator/state/env_record.h"
#include "runtime/image/image_store.h"
#include "runtime/machine/kernel_store.h"
#include "runtime/machine/machine.h"
#include "runtime/network/switch_client.h"
#include "spec/model/environment.h"

/* Serials of the two disks every container has, and where the writable one lies in its folder. */
#define DISK_SERIAL_IMAGE "image"
#define DISK_SERIAL_UPPER "upper"
#define UPPER_DISK_NAME "upper.ext4"

/* Room for secrets, in memory; more than they may be. */
#define SECRETS_ROOM_BYTES (UINT64_C(8) << 20)
enum { NETWORK_MTU = 65520, CPUS_DEFAULT = 1 };
#define MEMORY_DEFAULT_BYTES (UINT64_C(512) << 20)
#define DISK_DEFAULT_BYTES (UINT64_C(16) << 30)
#define STOP_GRACE_DEFAULT_MS UINT64_C(10000)

struct translate_input {
	const struct environment *env;
	const struct spec_container *container;
	const struct env_record *record; /* addresses and subnets */
	const struct image *image;
	const struct kernel *kernel;
	const char *run_dir, *state_dir, *volumes_dir;
	const char *events;              /* the environment's event log; NULL = none */
	char *const *port_dirs;          /* of the container's networks, in the spec's order */
	const struct contents *contents; /* its files and secrets; NULL = none */
};

/**
 * translate_container() - the machine's configuration
 *
 * Return: 0, or -E_INVALID with the place in the spec: no command anywhere, an address missing, ...
 */
int translate_container(const struct translate_input *in, struct machine_config *ret,
			struct error *err) MUST_CHECK;

/** translate_main() - the container's process: image and spec merged */
int translate_main(const struct spec_container *c, const struct image *image, struct msg_spawn *ret,
		   struct error *err) MUST_CHECK;
/** translate_drop_secret_env() - take out the variables that hold a secret of the container */
void translate_drop_secret_env(const struct spec_container *c, struct strlist *env);
/* What a process of a container has of its own; each may be NULL. */
struct process_words {
	const struct spec_command *command;
	const struct spec_text *user, *dir;
	const struct spec_pairs *env; /* besides the container's */
};

/** translate_process() - one of several processes, a hook, a probe: what the container and its
 * image say, and over it @words */
void translate_process(const struct spec_container *c, const struct image *image,
		       const struct process_words *words, struct msg_spawn *ret);
/** translate_supervise() - fill in ret->supervise and ret->restart, for a machine whose log limits
 * are set */
int translate_supervise(const struct translate_input *in, struct machine_config *ret,
			struct error *err) MUST_CHECK;
/** translate_sockets() - fill in the sockets of the guest's setup and of the keeper. Return: 0,
 * -E_INVALID if an ssh agent is wanted and there is none */
int translate_sockets(const struct spec_container *c, struct machine_config *ret,
		      struct error *err) MUST_CHECK;
/** translate_socket_env() - where ssh finds the agent, unless that is said already */
void translate_socket_env(const struct spec_container *c, struct strlist *env);
/** translate_capabilities() - what its processes may have, as a mask of 1 << CAP_* */
uint64_t translate_capabilities(const struct spec_capabilities *c);
/** translate_port() - a container's port on one of its networks; published ports are on the one
 * that is its first interface */
int translate_port(const struct spec_container *c, const struct container_record *record,
		   size_t network_index, struct switch_port *ret, struct error *err) MUST_CHECK;
/** translate_network() - the switch of a network */
void translate_network(const struct spec_network *n, const struct network_record *record,
		       const char *run_dir, struct switch_config *ret);
/** translate_disk_bytes() - the size of the writable disk */
uint64_t translate_disk_bytes(const struct spec_container *c);
/** volume_serial() - how the guest finds the disk of a volume; owned */
char *volume_serial(const char *volume);
/** translate_stop() - how the container is asked to stop: signal number and grace */
int translate_stop(const struct spec_container *c, const char *image_signal, int *ret_signal,
		   uint64_t *ret_grace_ms, struct error *err) MUST_CHECK;

#endif
