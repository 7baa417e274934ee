/* SPDX-License-Identifier: MIT */
/*
 * One thread reads and inflates, the caller's hashes and uses: two cores at work on one layer.
 *
 * DOC: Theory of Operation
 *
 * Pieces go round in a ring. The reading thread fills the piece behind the last full one and waits
 * while there is none; the caller uses the first full one and waits likewise, so memory stays
 * bounded whichever side is faster. A piece belongs to one side at a time, hence only the two
 * counters and the flags are under the lock. A failure of the reading thread travels as the last
 * piece, so everything read before it is used first and errors come in the order of the stream.
 */
#include "runtime/image/layer_pipe.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/text.h"
#include "runtime/image/layer_stream.h"

enum {
	PIECE_SIZE = 512 * 1024,
	PIECES = 12,
};

static const uint64_t ratio_grace_bytes = UINT64_C(1) << 30;

struct piece {
	uint8_t *data; /* owned */
	size_t size;   /* 0 = end of layer, or failure */
	uint64_t consumed;
	bool failed;
};

struct layer_pipe {
	const struct layer_source *layers;
	size_t count;
	struct disk_limits limits;
	struct piece pieces[PIECES];
	uint64_t total; /* given out */

	/* The caller's side. */
	bool holding; /* a piece is in use */
	size_t layer;
	uint64_t consumed;
	struct digest *digest; /* owned; of the current layer */

	/* The reading thread's side. */
	uint64_t read_total;
	struct error failure; /* read by the caller once a failed piece arrived */

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t filled, emptied; /* pieces, ever */
	bool stopping;
};

/* Return: an empty piece, or NULL if the caller gave up */
static struct piece *wait_for_room(struct layer_pipe *p)
{
	struct piece *piece = NULL;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping && p->filled - p->emptied == PIECES)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	if (!p->stopping)
		piece = &p->pieces[p->filled % PIECES];
	(void)pthread_mutex_unlock(&p->lock);
	return piece;
}

static void hand_over(struct layer_pipe *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->filled++;
	(void)pthread_cond_signal(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static int check_limits(const struct layer_pipe *p, uint64_t out, uint64_t in, struct error *err)
{
	if (p->read_total > p->limits.total_bytes)
		return error_set(err, E_INTEGRITY,
				 "layers of more than %" PRIu64 " bytes are refused",
				 p->limits.total_bytes);
	if (out > ratio_grace_bytes && out / p->limits.ratio > in)
		return error_set(
			err, E_INTEGRITY,
			"it inflates to more than %u times its size, which no honest layer does",
			p->limits.ratio);
	return 0;
}

/* Return: 0 at the end of the layer, 1 if the caller gave up, or -code */
static int read_layer(struct layer_pipe *p, const struct layer_source *source, struct error *err)
{
	CLEANUP(layer_stream_free_p) struct layer_stream *stream = layer_stream_new(source);
	uint64_t out = 0;

	for (;;) {
		struct piece *piece = wait_for_room(p);
		ssize_t n;
		int rc;

		if (!piece)
			return 1;
		n = layer_stream_read(stream, piece->data, PIECE_SIZE, err);
		if (n < 0)
			return (int)n;
		out += (uint64_t)n;
		p->read_total += (uint64_t)n;
		rc = check_limits(p, out, layer_stream_consumed(stream), err);
		if (rc < 0)
			return rc;
		piece->size = (size_t)n;
		piece->consumed = layer_stream_consumed(stream);
		piece->failed = false;
		hand_over(p);
		if (n == 0)
			return 0;
	}
}

static void *read_layers(void *arg)
{
	struct layer_pipe *p = arg;

	for (size_t i = 0; i < p->count; i++) {
		int rc = read_layer(p, &p->layers[i], &p->failure);
		struct piece *piece;

		if (rc == 0)
			continue;
		piece = rc < 0 ? wait_for_room(p) : NULL;
		if (piece) {
			piece->size = 0;
			piece->failed = true;
			hand_over(p);
		}
		break;
	}
	return NULL;
}

/* Signals stay with the thread that has the handlers. */
static int start_thread(struct layer_pipe *p)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&p->thread, NULL, read_layers, p);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void release(struct layer_pipe *p)
{
	for (size_t i = 0; i < PIECES; i++)
		free(p->pieces[i].data);
	digest_free(p->digest);
	error_clear(&p->failure);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

int layer_pipe_new(const struct layer_source *layers, size_t count,
		   const struct disk_limits *limits, struct layer_pipe **ret, struct error *err)
{
	struct layer_pipe *p = xcalloc(1, sizeof(*p));
	int rc;

	p->layers = layers;
	p->count = count;
	p->limits = *limits;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->changed, NULL);
	for (size_t i = 0; i < PIECES; i++)
		p->pieces[i].data = xmalloc(PIECE_SIZE);
	rc = start_thread(p);
	if (rc != 0) {
		release(p);
		return error_set(err, E_SYSTEM, "start a thread: %s", strerror(rc));
	}
	*ret = p;
	return 0;
}

void layer_pipe_free(struct layer_pipe *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_signal(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_join(p->thread, NULL);
	release(p);
}

static struct piece *next_piece(struct layer_pipe *p)
{
	struct piece *piece;

	(void)pthread_mutex_lock(&p->lock);
	if (p->holding) {
		p->emptied++;
		(void)pthread_cond_signal(&p->changed);
	}
	while (p->filled == p->emptied)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	piece = &p->pieces[p->emptied % PIECES];
	p->holding = true;
	(void)pthread_mutex_unlock(&p->lock);
	return piece;
}

static int check_digest(struct layer_pipe *p, struct error *err)
{
	const char *want = p->layers[p->layer].diff_id;
	char hex[DIGEST_HEX_MAX + 1];

	digest_hex(p->digest, hex);
	digest_free(p->digest);
	p->digest = NULL;
	if (strcmp(want + strcspn(want, ":") + 1, hex) != 0)
		return error_set(
			err, E_INTEGRITY,
			"digest of the uncompressed layer is %.6s:%s, not %s as the image says",
			want, hex, want);
	return 0;
}

int layer_pipe_next(struct layer_pipe *p, const void **ret_data, size_t *ret_size,
		    struct error *err)
{
	bool wants_digest;
	struct piece *piece;
	int rc = 0;

	if (p->layer == p->count)
		return error_set(err, E_INTERNAL, "read behind the last layer");
	wants_digest = p->layers[p->layer].diff_id != NULL;
	if (!p->digest && wants_digest)
		p->digest = digest_new(str_starts(p->layers[p->layer].diff_id, "sha512:")
					       ? DIGEST_SHA512
					       : DIGEST_SHA256);
	piece = next_piece(p);
	if (piece->failed)
		return error_move(err, &p->failure);
	p->consumed = piece->consumed;
	p->total += piece->size;
	*ret_data = piece->data;
	*ret_size = piece->size;
	if (piece->size > 0) {
		if (wants_digest)
			digest_add(p->digest, piece->data, piece->size);
		return 0;
	}
	if (wants_digest)
		rc = check_digest(p, err);
	p->layer++;
	return rc;
}

uint64_t layer_pipe_consumed(const struct layer_pipe *p)
{
	return p->consumed;
}

uint64_t layer_pipe_total(const struct layer_pipe *p)
{
	return p->total;
}
