/* SPDX-License-Identifier: MIT */
/* Actions on volumes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/apply/actions.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/state/env_store.h"

static char *disk_of(const struct action_context *c)
{
	return env_store_volume(c->w->paths, c->w->record.id, c->action->name);
}

static int wanted_size(const struct action_context *c, uint64_t *ret, struct error *err)
{
	const struct spec_volume *v = environment_volume(c->w->wanted, c->action->name);

	if (!v)
		return error_set(err, E_INTERNAL, "volume '%s' is not in the spec",
				 c->action->name);
	*ret = (uint64_t)v->size.value;
	return 0;
}

int action_volume_make(const struct action_context *c, struct json **ret_result, struct error *err)
{
	AUTO_FREE char *dir = env_store_volumes_dir(c->w->paths, c->w->record.id);
	AUTO_FREE char *disk = disk_of(c);
	uint64_t size = 0;
	int r = wanted_size(c, &size, err);

	(void)ret_result;
	if (r == 0)
		r = dir_make(dir, 0700, err);
	/* One that an interrupted run made is whole: it appears by its last step. */
	if (r == 0 && !file_exists(disk))
		r = volume_disk_create(disk, size, c->action->name, err);
	return r < 0 ? error_wrap(err, "make volume '%s'", c->action->name) : 0;
}

/* Who mounts it in a running machine; NULL = nobody. */
static const struct container_record *user_of(const struct world *w, const char *volume)
{
	for (size_t i = 0; i < w->observed.container_count; i++) {
		const struct observed_container *seen = &w->observed.containers[i];

		if (strlist_has(&seen->volumes, volume) && seen->phase == SEEN_RUNNING)
			return env_record_container(&w->record, seen->name);
	}
	return NULL;
}

int action_volume_grow(const struct action_context *c, struct json **ret_result, struct error *err)
{
	const struct world *w = c->w;
	const struct container_record *user = user_of(w, c->action->name);
	AUTO_FREE char *disk = disk_of(c);
	AUTO_FREE char *run_dir = user ? env_store_run_dir(w->paths, user->run_id) : NULL;
	AUTO_FREE char *serial = volume_serial(c->action->name);
	uint64_t size = 0;
	int r = wanted_size(c, &size, err);
	struct stat st;

	(void)ret_result;
	if (r < 0)
		return r;
	if (stat(disk, &st) < 0)
		return error_sys(err, "look at '%s'", disk);
	/* The file first: a machine that starts grows the file system to what it finds. */
	if ((uint64_t)st.st_size < size && truncate(disk, (off_t)size) < 0)
		return error_sys(err, "grow '%s'", disk);
	r = run_dir ? machine_grow_disk(run_dir, serial, size, err) : 0;
	if (r == -E_NOT_FOUND) { /* it ended meanwhile */
		error_clear(err);
		r = 0;
	}
	return r < 0 ? error_wrap(err, "grow volume '%s' in container '%s'", c->action->name,
				  user->name)
		     : 0;
}

/* Whoever has the disk lets it go; their own actions start them again. */
static int stop_users(const struct world *w, const char *volume, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->observed.container_count; i++) {
		const struct observed_container *seen = &w->observed.containers[i];
		const struct container_record *record =
			env_record_container(&w->record, seen->name);

		if (record && strlist_has(&seen->volumes, volume))
			r = action_container_stop(w, record, err);
	}
	return r;
}

int action_volume_replace(const struct action_context *c, struct json **ret_result,
			  struct error *err)
{
	AUTO_FREE char *disk = disk_of(c);
	int r = stop_users(c->w, c->action->name, err);

	if (r == 0)
		r = file_remove(disk, err);
	return r < 0 ? r : action_volume_make(c, ret_result, err);
}

int action_volume_destroy(const struct action_context *c, struct json **ret_result,
			  struct error *err)
{
	AUTO_FREE char *dir = env_store_volumes_dir(c->w->paths, c->w->record.id);
	AUTO_FREE char *disk = disk_of(c);
	int r = file_remove(disk, err);

	(void)ret_result;
	/* The last one takes the folder with it. */
	if (r == 0 && rmdir(dir) < 0 && errno != ENOTEMPTY && errno != ENOENT && errno != EEXIST)
		r = error_sys(err, "remove '%s'", dir);
	return r;
}
