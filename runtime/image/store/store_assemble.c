/* SPDX-License-Identifier: MIT */
/* Layers into the store and into the disk at the same time.
 *
 * DOC: Theory of Operation
 *
 * The calling thread brings the blobs (from a registry or a folder) and tells feeds how many bytes
 * of each are there; a second thread runs disk_build(), which reads each layer from the growing
 * file, waiting where it is ahead. A layer ends for the reader only once its blob is verified, so a
 * disk is never finished from bytes whose digest is wrong. Where a blob had to begin again after
 * the reader saw bytes of it, the build is given up and done over when all blobs are here.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "runtime/image/disk_build.h"
#include "runtime/image/store/store_internal.h"
#include "runtime/oci/registry_client.h"

/* One blob that is being brought. */
struct feed {
	const struct descriptor *blob;
	char *name; /* owned, for people */
	int fd;     /* owned; -1 = not there yet */
	uint64_t available;
	bool verified;
	bool seen; /* the build has read from it */
};

/* One layer of the disk reading from a feed; two layers may be the same blob. */
struct tap {
	struct pipeline *pipeline;
	size_t feed;
	uint64_t position;
};

struct pipeline {
	struct image_store *store;
	const struct assembly *assembly;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct feed *feeds;
	size_t feed_count;
	struct tap *taps;
	bool bring_failed; /* no more bytes will come */
	bool begun_again;  /* bytes the build has seen were wrong */
	bool build_running;
	struct disk_progress progress;
	int build_rc;
	struct error build_error;
	char *path;         /* owned: of the disk */
	char *base_path;    /* owned: a disk of the lowest layers, or NULL */
	size_t base_layers; /* how many it holds */
	void (*wake)(void *arg);
	void *wake_arg;
};

static ssize_t wait_for_bytes(struct pipeline *p, struct tap *t, size_t size, struct error *err)
{
	struct feed *f = &p->feeds[t->feed];
	while (!p->bring_failed && !p->begun_again && f->available <= t->position && !f->verified)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	if (p->bring_failed)
		return error_set(err, E_CANCELED, "the layer did not arrive");
	if (p->begun_again)
		return error_set(err, E_CANCELED, "the layer had to be fetched again");
	uint64_t ready = f->available - t->position;
	f->seen = true;
	return (ssize_t)(ready < size ? ready : size);
}

static ssize_t tap_read(void *arg, void *buf, size_t size, struct error *err)
{
	struct tap *t = arg;
	struct pipeline *p = t->pipeline;
	(void)pthread_mutex_lock(&p->lock);
	ssize_t ready = wait_for_bytes(p, t, size, err);
	int fd = p->feeds[t->feed].fd;
	(void)pthread_mutex_unlock(&p->lock);
	if (ready <= 0)
		return ready;
	for (;;) {
		ssize_t n = pread(fd, buf, (size_t)ready, (off_t)t->position);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read a layer");
		if (n == 0)
			return error_set(err, E_INTEGRITY, "a layer shrank while it was read");
		t->position += (uint64_t)n;
		return n;
	}
}

static int on_build_progress(void *arg, const struct disk_progress *progress)
{
	struct pipeline *p = arg;
	(void)pthread_mutex_lock(&p->lock);
	p->progress = *progress;
	bool stop = p->bring_failed || p->begun_again;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	return stop;
}

static void *build_thread(void *arg)
{
	struct pipeline *p = arg;
	const struct assembly *a = p->assembly;
	size_t count = a->manifest.entry_count;
	struct layer_source *layers = xcalloc(count ? count : 1, sizeof(*layers));
	for (size_t i = 0; i < count; i++) {
		p->taps[i].position = 0;
		layers[i] = (struct layer_source){
			.compression = LAYER_AUTO,
			.name = p->feeds[p->taps[i].feed].name,
			.diff_id = a->config.diff_ids.items[i],
			.size = a->manifest.entries[i].size,
			.read = tap_read,
			.arg = &p->taps[i],
		};
	}
	const struct disk_build_options o = {
		.path = p->path,
		.sync = DISK_SYNC_FULL,
		.rooted_names = true,
		.base_path = p->base_path,
		.base_layers = p->base_layers,
		.progress = on_build_progress,
		.progress_arg = p,
	};
	int rc = disk_build(&o, layers, count, NULL, &p->build_error);
	free(layers);
	(void)pthread_mutex_lock(&p->lock);
	p->build_rc = rc;
	p->build_running = false;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	if (rc < 0 && p->wake)
		p->wake(p->wake_arg);
	return NULL;
}

/* The events of bringing; all on the calling thread. */

static void feed_opened(void *arg, size_t blob, int fd, uint64_t offset)
{
	struct pipeline *p = arg;
	(void)pthread_mutex_lock(&p->lock);
	struct feed *f = &p->feeds[blob];
	if (f->fd < 0)
		f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	f->available = f->fd < 0 ? 0 : offset;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	store_report(p->store, PROGRESS_LAYER, f->name, offset, f->blob->size);
}

static void feed_grown(void *arg, size_t blob, uint64_t offset)
{
	struct pipeline *p = arg;
	(void)pthread_mutex_lock(&p->lock);
	struct feed *f = &p->feeds[blob];
	if (f->fd >= 0)
		f->available = offset;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	store_report(p->store, PROGRESS_LAYER, f->name, offset, f->blob->size);
}

static void feed_restarted(void *arg, size_t blob)
{
	struct pipeline *p = arg;
	(void)pthread_mutex_lock(&p->lock);
	p->feeds[blob].available = 0;
	p->begun_again = p->begun_again || p->feeds[blob].seen;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

static void feed_done(void *arg, size_t blob)
{
	struct pipeline *p = arg;
	struct feed *f = &p->feeds[blob];
	AUTO_FREE char *path = blob_path(p->store->blobs, f->blob->digest);
	(void)pthread_mutex_lock(&p->lock);
	if (f->fd < 0)
		f->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	f->available = f->blob->size;
	f->verified = true;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	store_report(p->store, PROGRESS_LAYER, f->name, f->blob->size, f->blob->size);
}

/* A build that failed by itself makes the rest of the download pointless. */
static bool build_gave_up(void *arg)
{
	struct pipeline *p = arg;
	(void)pthread_mutex_lock(&p->lock);
	bool gave_up = !p->build_running && p->build_rc < 0 && !p->begun_again;
	(void)pthread_mutex_unlock(&p->lock);
	return gave_up;
}

static void report_disk(const struct pipeline *p, const struct disk_progress *progress)
{
	const struct manifest *m = &p->assembly->manifest;
	uint64_t done = progress->done, total = 0;
	for (size_t i = 0; i < m->entry_count; i++) {
		total += m->entries[i].size;
		done += i < progress->layer ? m->entries[i].size : 0;
	}
	AUTO_FREE char *name = digest_short(p->assembly->record.chain_id);
	store_report(p->store, PROGRESS_DISK, name, done, total);
}

static void wait_for_build(struct pipeline *p)
{
	(void)pthread_mutex_lock(&p->lock);
	while (p->build_running) {
		struct disk_progress now = p->progress;
		(void)pthread_mutex_unlock(&p->lock);
		report_disk(p, &now);
		(void)pthread_mutex_lock(&p->lock);
		if (p->build_running)
			(void)pthread_cond_wait(&p->changed, &p->lock);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

static int start_build(struct pipeline *p, pthread_t *thread, struct error *err)
{
	p->build_running = true;
	p->build_rc = 0;
	p->begun_again = false;
	p->progress = (struct disk_progress){ 0 };
	error_clear(&p->build_error);
	int rc = pthread_create(thread, NULL, build_thread, p);
	if (rc == 0)
		return 0;
	p->build_running = false;
	errno = rc;
	return error_sys(err, "start a thread");
}

/* Brings and builds side by side. */
static int run_both(struct pipeline *p, bring_fn bring, const struct descriptor *const *blobs,
		    struct error *err)
{
	const struct registry_fetch_events events = {
		.on_open = feed_opened,
		.on_bytes = feed_grown,
		.on_restart = feed_restarted,
		.on_done = feed_done,
		.should_stop = build_gave_up,
		.arg = p,
	};
	pthread_t thread;
	int rc = start_build(p, &thread, err);
	if (rc < 0)
		return rc;
	rc = bring(p->wake_arg, blobs, p->feed_count, &events, err);
	(void)pthread_mutex_lock(&p->lock);
	p->bring_failed = rc < 0;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	if (rc == 0)
		wait_for_build(p);
	(void)pthread_join(thread, NULL);
	/* Canceled by us because the build had failed: that is the reason to tell. */
	if (rc == -E_CANCELED && p->build_rc < 0) {
		error_clear(err);
		return error_move(err, &p->build_error);
	}
	if (rc < 0)
		return rc;
	if (p->build_rc < 0 && p->begun_again) {
		rc = start_build(p, &thread, err);
		if (rc < 0)
			return rc;
		wait_for_build(p);
		(void)pthread_join(thread, NULL);
	}
	if (p->build_rc < 0)
		return error_move(err, &p->build_error);
	report_disk(p, &(const struct disk_progress){ .layer = p->assembly->manifest.entry_count });
	return 0;
}

/* Only the blobs: the disk is there already. */
static int run_bring(struct pipeline *p, bring_fn bring, const struct descriptor *const *blobs,
		     struct error *err)
{
	const struct registry_fetch_events events = {
		.on_open = feed_opened,
		.on_bytes = feed_grown,
		.on_restart = feed_restarted,
		.on_done = feed_done,
		.arg = p,
	};
	return bring(p->wake_arg, blobs, p->feed_count, &events, err);
}

/* One feed for each different blob; layers that are the same blob share it. */
static const struct descriptor **make_feeds(struct pipeline *p)
{
	const struct manifest *m = &p->assembly->manifest;
	size_t room = m->entry_count ? m->entry_count : 1;
	p->feeds = xcalloc(room, sizeof(*p->feeds));
	p->taps = xcalloc(room, sizeof(*p->taps));
	const struct descriptor **blobs = xcalloc(room, sizeof(struct descriptor *));
	for (size_t i = 0; i < m->entry_count; i++) {
		size_t k = 0;
		while (k < p->feed_count && !str_equal(blobs[k]->digest, m->entries[i].digest))
			k++;
		if (k == p->feed_count) {
			blobs[k] = &m->entries[i];
			p->feeds[k] = (struct feed){
				.blob = blobs[k],
				.name = digest_short(blobs[k]->digest),
				.fd = -1,
			};
			p->feed_count++;
		}
		p->taps[i] = (struct tap){ .pipeline = p, .feed = k };
	}
	return blobs;
}

static void pipeline_release(struct pipeline *p)
{
	for (size_t i = 0; i < p->feed_count; i++) {
		if (p->feeds[i].fd >= 0)
			(void)close(p->feeds[i].fd);
		free(p->feeds[i].name);
	}
	free(p->feeds);
	free(p->taps);
	free(p->path);
	free(p->base_path);
	error_clear(&p->build_error);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
}

/*
 * The disk here that holds the most of the lowest layers. Taking them from it is cheaper than
 * reading them again whatever they are: no more is copied than would be inflated, hashed and
 * written. It cannot go away meanwhile: who removes disks needs the lock every assembly holds
 * shared.
 */
static void find_base(struct pipeline *p)
{
	const struct strlist *ids = &p->assembly->config.diff_ids;
	AUTO_FREE char *chain = NULL;
	for (size_t n = 1; n < ids->count; n++) {
		char *next = chain_id_add(chain, ids->items[n - 1]);
		free(chain);
		chain = next;
		AUTO_FREE char *path = disk_path(p->store, chain);
		if (!file_exists(path))
			continue;
		free(p->base_path);
		p->base_path = TAKE_PTR(path);
		p->base_layers = n;
	}
}

int assemble(struct image_store *s, const struct assembly *a, bring_fn bring,
	     void (*wake)(void *arg), void *arg, struct error *err)
{
	struct pipeline p = {
		.store = s,
		.assembly = a,
		.path = disk_path(s, a->record.chain_id),
		.wake = wake,
		.wake_arg = arg,
	};
	(void)pthread_mutex_init(&p.lock, NULL);
	(void)pthread_cond_init(&p.changed, NULL);
	const struct descriptor **blobs = make_feeds(&p);
	AUTO_FREE char *lock_path = xasprintf("%s/.%s.lock", s->disks, a->record.chain_id + 7);
	int lock = name_lock(lock_path, err), rc = lock < 0 ? lock : 0;
	if (rc == 0 && file_exists(p.path)) {
		rc = run_bring(&p, bring, blobs, err);
	} else if (rc == 0) {
		find_base(&p);
		rc = run_both(&p, bring, blobs, err);
	}
	if (lock >= 0)
		name_unlock(lock_path, lock);
	free(blobs);
	pipeline_release(&p);
	return rc;
}
