/* SPDX-License-Identifier: MIT */
/* A keeper without a VM, fed with what a hostile guest may send; a client is attached to one of its
 * processes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "runtime/machine/keeper_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two processes that need each other's health, and a probe of a port. */
static void supervise(struct keeper *k)
{
	struct msg_supervise *s = &k->config.machine.supervise;

	s->processes = calloc(2, sizeof(*s->processes));
	s->process_count = 2;
	for (size_t i = 0; i < 2; i++) {
		struct process_config *p = &s->processes[i];

		*p = (struct process_config){ .name = strdup(i ? "web" : "db"),
					      .restart = PROCESS_RESTART_ALWAYS,
					      .stop_grace_ms = 1 };
		p->health.probe = (struct msg_probe){ .kind = i ? PROBE_EXEC : PROBE_TCP,
						      .port = 1,
						      .timeout_ms = 1 };
		strlist_add(&p->spawn.argv, "run");
		strlist_add(&p->health.exec.argv, "look");
	}
	supervise_init(k);
	supervise_main_started(k);
}

static void start(struct keeper *k)
{
	struct relay *main_relay;

	log_set_level(LOG_LEVEL_ERROR);
	k->loop = loop_new();
	k->log = KEEPER_LOG_INIT;
	k->listen_fd = -1;
	k->status.phase = MACHINE_RUNNING;
	k->was_up = true;
	k->trace_begin_us = k->trace_asked_us = 1;
	k->next_stream = STREAM_FIRST_FREE;
	k->config.machine.state_dir = strdup("/nonexistent/ctrz-fuzz");
	frame_decoder_init(&k->guest_in, FRAME_SERIAL);
	supervise(k);
	main_relay = relay_new(k, STREAM_MAIN, NULL);
	main_relay->is_started = true;
}

static void end(struct keeper *k)
{
	while (k->clients)
		client_free(k->clients);
	supervise_release(k);
	while (k->relays)
		relay_free(k, k->relays);
	frame_decoder_release(&k->guest_in);
	buffer_release(&k->guest_out);
	buffer_release(&k->guest_words);
	error_clear(&k->failure);
	machine_status_release(&k->status);
	keeper_log_close(&k->log);
	keeper_config_release(&k->config);
	loop_free(k->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keeper k = { 0 };
	struct buffer marker = BUFFER_INIT;
	char sink[65536];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	start(&k);
	struct client *c = client_new(&k, pair[0]);
	relay_new(&k, k.next_stream++, c)->is_started = (size & 1) != 0;
	frame_add_marker(&marker);
	keeper_from_guest(&k, marker.data, marker.size);
	for (size_t at = 0; at < size && !k.vm_is_over; at += 4096) {
		keeper_from_guest(&k, data + at, size - at < 4096 ? size - at : 4096);
		while (recv(pair[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	buffer_release(&marker);
	end(&k);
	(void)close(pair[1]);
	return 0;
}
