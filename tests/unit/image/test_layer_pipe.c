/* SPDX-License-Identifier: MIT */
/* The pipe: order of data and failures, digests, stopping early. */
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "runtime/image/layer_pipe.h"
#include "tests/unit/image/tar_text.h"
#include "tests/unit/test.h"

static const struct disk_limits limits = {
	.total_bytes = 1 << 30, .entries = 100, .ratio = 200, .layers = 10
};

static void read_layer(struct layer_pipe *p, struct buffer *out)
{
	AUTO_ERROR err = ERROR_INIT;
	const void *data = NULL;
	size_t size = 1;

	while (size > 0) {
		assert_ok(err, layer_pipe_next(p, &data, &size, &err));
		buffer_add(out, data, size);
	}
}

TEST(layers_one_behind_the_other)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(layer_pipe_free_p) struct layer_pipe *p = NULL;
	char id[80] = "sha256:";
	struct text_source texts[] = { { .data = "first", .left = 5, .piece = 2 },
				       { .data = "", .left = 0 },
				       { .data = "third", .left = 5 } };
	struct layer_source layers[3] = { 0 };
	AUTO_BUFFER out = BUFFER_INIT;

	sha256_hex("first", 5, id + 7);
	for (size_t i = 0; i < 3; i++)
		layers[i] = (struct layer_source){ .read = text_read, .arg = &texts[i] };
	layers[0].diff_id = id;
	assert_ok(err, layer_pipe_new(layers, 3, &limits, &p, &err));
	read_layer(p, &out);
	buffer_add_char(&out, '|');
	read_layer(p, &out);
	buffer_add_char(&out, '|');
	read_layer(p, &out);
	assert_string_equal(buffer_str(&out), "first||third");
	assert_int_equal(layer_pipe_total(p), 10);
}

TEST(a_failure_comes_behind_the_data_before_it)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(layer_pipe_free_p) struct layer_pipe *p = NULL;
	struct text_source texts[] = { { .data = "first", .left = 5 },
				       { .data = "", .fails = true } };
	struct layer_source layers[] = { { .read = text_read, .arg = &texts[0] },
					 { .read = text_read, .arg = &texts[1] } };
	AUTO_BUFFER out = BUFFER_INIT;
	const void *data = NULL;
	size_t size = 0;

	assert_ok(err, layer_pipe_new(layers, 2, &limits, &p, &err));
	read_layer(p, &out);
	assert_string_equal(buffer_str(&out), "first");
	assert_error(err, E_UNAVAILABLE, layer_pipe_next(p, &data, &size, &err));
}

TEST(a_wrong_digest_is_found_at_the_end_of_the_layer)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(layer_pipe_free_p) struct layer_pipe *p = NULL;
	struct text_source text = { .data = "first", .left = 5 };
	struct layer_source layer = {
		.read = text_read,
		.arg = &text,
		.diff_id =
			"sha256:0000000000000000000000000000000000000000000000000000000000000000",
	};
	const void *data = NULL;
	size_t size = 0;

	assert_ok(err, layer_pipe_new(&layer, 1, &limits, &p, &err));
	assert_ok(err, layer_pipe_next(p, &data, &size, &err));
	assert_int_equal(size, 5);
	assert_error(err, E_INTEGRITY, layer_pipe_next(p, &data, &size, &err));
}

TEST(stopping_early_ends_the_thread)
{
	AUTO_ERROR err = ERROR_INIT;
	size_t size = 64 << 20; /* far more than the ring holds */
	AUTO_FREE char *zeros = xcalloc(size, 1);
	struct text_source text = { .data = zeros, .left = size };
	struct layer_source layer = { .read = text_read, .arg = &text };
	struct layer_pipe *p = NULL;
	const void *data = NULL;
	size_t got = 0;

	zeros[0] = 'x';
	assert_ok(err, layer_pipe_new(&layer, 1, &limits, &p, &err));
	assert_ok(err, layer_pipe_next(p, &data, &got, &err));
	layer_pipe_free(p);
	assert_true(text.left > size / 2);
}

TEST(limits_hold)
{
	AUTO_ERROR err = ERROR_INIT;
	struct disk_limits small = limits;
	struct text_source text = { .data = "0123456789", .left = 10 };
	struct layer_source layer = { .read = text_read, .arg = &text };
	CLEANUP(layer_pipe_free_p) struct layer_pipe *p = NULL;
	const void *data = NULL;
	size_t size = 0;

	small.total_bytes = 9;
	assert_ok(err, layer_pipe_new(&layer, 1, &small, &p, &err));
	assert_error(err, E_INTEGRITY, layer_pipe_next(p, &data, &size, &err));
}

/* A source that tells of each read, and waits for leave before some of them. */
struct gate {
	sem_t reads, leave;
	unsigned free_reads; /* that need no leave */
	unsigned count;
};

static ssize_t gate_read(void *arg, void *buf, size_t size, struct error *err)
{
	struct gate *g = arg;

	(void)err;
	if (++g->count > g->free_reads)
		(void)sem_wait(&g->leave);
	memset(buf, 'x', size);
	(void)sem_post(&g->reads);
	return (ssize_t)size;
}

static void await(sem_t *sem)
{
	struct timespec end;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_sec += 60;
	assert_int_equal(sem_timedwait(sem, &end), 0);
}

/* While one piece is in use the next ones are read, and while a read waits what is there is used:
 * either side goes on without the other. */
TEST(both_sides_work_at_once)
{
	AUTO_ERROR err = ERROR_INIT;
	struct gate gate = { .free_reads = 8 };
	struct layer_source layer = { .compression = LAYER_PLAIN, .read = gate_read, .arg = &gate };
	struct layer_pipe *p = NULL;
	const void *data = NULL;
	size_t size = 0;

	assert_int_equal(sem_init(&gate.reads, 0, 0), 0);
	assert_int_equal(sem_init(&gate.leave, 0, 0), 0);
	assert_ok(err, layer_pipe_new(&layer, 1, &limits, &p, &err));
	assert_ok(err, layer_pipe_next(p, &data, &size, &err));
	for (unsigned i = 0; i < gate.free_reads; i++)
		await(&gate.reads); /* the first piece is still in use */
	assert_ok(err, layer_pipe_next(p, &data, &size, &err)); /* the reader waits for leave */
	assert_true(size > 0);
	for (int i = 0; i < 1000; i++)
		(void)sem_post(&gate.leave);
	layer_pipe_free(p);
	(void)sem_destroy(&gate.reads);
	(void)sem_destroy(&gate.leave);
}
