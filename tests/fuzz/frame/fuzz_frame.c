/* SPDX-License-Identifier: MIT */
/* The first byte says which transport and into how large pieces the rest is cut; every frame is
 * unpacked as its type, packed again, and must come back as it was. */
#include <stdlib.h>
#include <string.h>

#include "vminitd/protocol/message.h"

#define TRY(type)                                                             \
	static void try_##type(const void *data, size_t size)                 \
	{                                                                     \
		struct type m = { 0 }, copy = { 0 };                          \
		AUTO_BUFFER out = BUFFER_INIT;                                \
		AUTO_ERROR err = ERROR_INIT;                                  \
		if (type##_unpack(data, size, &m, &err) < 0)                  \
			return;                                               \
		type##_copy(&copy, &m);                                       \
		type##_release(&m);                                           \
		if (type##_pack(&copy, &out, &err) < 0 || out.size != size || \
		    (size > 0 && memcmp(out.data, data, size) != 0))          \
			abort();                                              \
		type##_release(&copy);                                        \
	}

TRY(msg_sync)
TRY(msg_hello)
TRY(msg_error)
TRY(msg_setup)
TRY(msg_spawn)
TRY(msg_started)
TRY(msg_spawn_failed)
TRY(msg_credit)
TRY(msg_resize)
TRY(msg_signal)
TRY(msg_exited)
TRY(msg_log)
TRY(msg_shutdown)
TRY(msg_time)
TRY(msg_trimmed)
TRY(msg_detach)
TRY(msg_names)
TRY(msg_limits)
TRY(msg_write_file)
TRY(msg_stats)
TRY(msg_status)
TRY(msg_stop)
TRY(setup_disk)
TRY(setup_share)
TRY(setup_nic)
TRY(setup_tmpfs)
TRY(msg_grow)
TRY(msg_filter)
TRY(msg_probe)
TRY(msg_traced)
TRY(msg_probed)
TRY(msg_wait)
TRY(msg_copy)

static const struct {
	enum msg_type type;
	void (*fn)(const void *data, size_t size);
} tries[] = {
	{ MSG_SYNC, try_msg_sync },
	{ MSG_HELLO, try_msg_hello },
	{ MSG_ERROR, try_msg_error },
	{ MSG_SETUP, try_msg_setup },
	{ MSG_SPAWN, try_msg_spawn },
	{ MSG_STARTED, try_msg_started },
	{ MSG_SPAWN_FAILED, try_msg_spawn_failed },
	{ MSG_CREDIT, try_msg_credit },
	{ MSG_RESIZE, try_msg_resize },
	{ MSG_SIGNAL, try_msg_signal },
	{ MSG_EXITED, try_msg_exited },
	{ MSG_LOG, try_msg_log },
	{ MSG_SHUTDOWN, try_msg_shutdown },
	{ MSG_TIME, try_msg_time },
	{ MSG_TRIMMED, try_msg_trimmed },
	{ MSG_DETACH, try_msg_detach },
	{ MSG_NAMES, try_msg_names },
	{ MSG_LIMITS, try_msg_limits },
	{ MSG_WRITE_FILE, try_msg_write_file },
	{ MSG_STATS_REPLY, try_msg_stats },
	{ MSG_STATUS_REPLY, try_msg_status },
	{ MSG_STOP, try_msg_stop },
	{ MSG_ATTACH_DISK, try_setup_disk },
	{ MSG_ATTACH_SHARE, try_setup_share },
	{ MSG_ATTACH_NIC, try_setup_nic },
	{ MSG_ATTACH_TMPFS, try_setup_tmpfs },
	{ MSG_GROW, try_msg_grow },
	{ MSG_FILTER, try_msg_filter },
	{ MSG_PROBE, try_msg_probe },
	{ MSG_TRACED, try_msg_traced },
	{ MSG_PROBED, try_msg_probed },
	{ MSG_WAIT, try_msg_wait },
	{ MSG_COPY, try_msg_copy },
};

/* A frame of a known type is written again, and is the same. */
static void rewrite(const struct frame *f)
{
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct frame_decoder d;
	struct frame again;

	if (strcmp(message_type_name(f->type), "unknown") == 0)
		return;
	frame_decoder_init(&d, FRAME_SERIAL);
	frame_add_marker(&out);
	if (f->channel == 0) {
		size_t begin = frame_begin(&out, f->type, f->stream);
		buffer_add(&out, f->payload, f->size);
		if (frame_end(&out, begin, &err) < 0)
			abort();
	} else {
		frame_add(&out, f->type, f->channel, f->stream, f->payload, f->size);
	}
	frame_decoder_add(&d, out.data, out.size);
	if (frame_decoder_next(&d, &again, &err) != 1 || again.type != FRAME_TYPE_MARKER ||
	    frame_decoder_next(&d, &again, &err) != 1 || again.type != f->type ||
	    again.stream != f->stream || again.size != f->size ||
	    (f->size > 0 && memcmp(again.payload, f->payload, f->size) != 0))
		abort();
	frame_decoder_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;
	int r = 0;

	if (size == 0)
		return 0;
	size_t piece = data[0] >> 1 ? (size_t)(data[0] >> 1) : size;
	frame_decoder_init(&d, data[0] & 1 ? FRAME_SERIAL : FRAME_SOCKET);
	for (size_t at = 1; r >= 0 && at < size; at += piece) {
		frame_decoder_add(&d, data + at, size - at < piece ? size - at : piece);
		while ((r = frame_decoder_next(&d, &f, &err)) > 0) {
			rewrite(&f);
			for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
				if ((unsigned)tries[i].type == f.type)
					tries[i].fn(f.payload, f.size);
		}
	}
	frame_decoder_release(&d);
	return 0;
}
