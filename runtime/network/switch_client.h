/* SPDX-License-Identifier: MIT */
/* Talking to the user-mode switch of a network: one process per network, one datagram port per VM.
 */
#ifndef CTRZ_RUNTIME_NETWORK_SWITCH_CLIENT_H
#define CTRZ_RUNTIME_NETWORK_SWITCH_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/* Where packets of a network may go beyond its own ports. A network lies within one environment, so
 * to the switch "env" is the same as "none"; "full" is the public internet, never private ranges or
 * this host. Published ports work with all. */
enum switch_egress { EGRESS_NONE, EGRESS_ENV, EGRESS_FULL };

struct switch_config {
	char *name;    /* of the network, for messages */
	char *run_dir; /* the network's own folder: control.sock, lock, ports/<container>/ */
	struct in_addr subnet; /* network byte order; the gateway is .1, DNS .2 */
	unsigned prefix;       /* bits, 24 by default */
	enum switch_egress egress;
};

struct switch_publish {
	struct in_addr host_addr; /* 127.0.0.1 by default */
	uint16_t host_port;       /* host byte order; 0 = choose one */
	uint16_t guest_port;
	bool udp;
};

struct switch_port {
	char *name; /* of the container */
	struct strlist aliases;
	uint8_t mac[6];
	struct in_addr address;
	struct switch_publish *publish;
	size_t publish_count;
};

void switch_config_release(struct switch_config *c);
void switch_port_release(struct switch_port *p);

/** switch_start() - start the network's switch, or find it running with the same configuration;
 * @ret_pid may be NULL */
int switch_start(const struct switch_config *c, pid_t *ret_pid, struct error *err) MUST_CHECK;
/** switch_restart() - start it with @c in place of the one that runs, if one does; ports' folders
 * stay, so VMs go on after switch_set_port() of each, without noticing more than lost frames
 * (connections to the outside end) */
int switch_restart(const struct switch_config *c, pid_t *ret_pid, struct error *err) MUST_CHECK;
/** switch_start_owned() - the same for a switch that ends as soon as the other end of @owner_fd, a
 * pipe or socket, is closed; @owner_fd is lent */
int switch_start_owned(const struct switch_config *c, int owner_fd, struct error *err) MUST_CHECK;
/** switch_observe() - Return: its pid, or 0 if there is none */
pid_t switch_observe(const char *run_dir);
/**
 * switch_set_port() - add a port or change it to what @p says (published ports and aliases change
 * live)
 * @ret_dir: owned; the folder with the port's two sockets, "vm.sock" (QEMU's) and "switch.sock"
 * @ret_ports: host ports in the order of p->publish (host byte order), room for publish_count; may
 * be NULL
 *
 * Return: 0, -E_CONFLICT if a host port is taken (the message names port, address and the process
 * that holds it)
 */
int switch_set_port(const char *run_dir, const struct switch_port *p, char **ret_dir,
		    uint16_t *ret_ports, struct error *err) MUST_CHECK;
int switch_remove_port(const char *run_dir, const char *name, struct error *err) MUST_CHECK;
/** switch_stop() - end it and wait until nothing of it is left; cleans up after one that was killed
 */
int switch_stop(const char *run_dir, struct error *err) MUST_CHECK;

/** host_port_holder() - who listens on a host port: owned "nginx (pid 812)", or NULL if nobody or
 * not to be seen */
char *host_port_holder(struct in_addr addr, uint16_t port, bool udp);
/** host_port_is_free() - by binding it for a moment */
bool host_port_is_free(struct in_addr addr, uint16_t port, bool udp);

/** switch_main() - the hidden command "ctrz __switch": reads its config from descriptor 3. Return:
 * exit code */
int switch_main(int argc, char **argv);

#endif
