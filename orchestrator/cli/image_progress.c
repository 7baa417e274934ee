/* SPDX-License-Identifier: MIT */
/* The image store's progress. */
#include "orchestrator/cli/image_progress.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

enum { SHORT_DIGEST = 12 };

/* One object that is drawn. */
struct line {
	size_t index;
	bool is_done;
};

/* "sha256:77ab..." is known by its first digits. */
static const char *short_id(const char *id, char *room, size_t size)
{
	const char *hex = strchr(id, ':');
	if (!str_starts(id, "sha256:") && !str_starts(id, "sha512:"))
		return id;
	size_t n = strnlen(hex + 1, SHORT_DIGEST);
	if (n >= size)
		n = size - 1;
	memcpy(room, hex + 1, n);
	room[n] = '\0';
	return room;
}

static const char *const actions[] = {
	[PROGRESS_RESOLVE] = "resolve",
	[PROGRESS_LAYER] = "layer",
	[PROGRESS_DISK] = "disk",
	[PROGRESS_DONE] = "image",
};

void image_progress_report(void *arg, enum progress_kind kind, const char *id, uint64_t done,
			   uint64_t total)
{
	struct image_progress *p = arg;
	char room[SHORT_DIGEST + 1];
	const char *name = short_id(id, room, sizeof(room));
	if (kind == PROGRESS_DONE || kind == PROGRESS_RESOLVE)
		return; /* the command itself says what came out */
	struct line *line = map_get(&p->lines, id);
	if (!line) {
		line = xcalloc(1, sizeof(*line));
		line->index = progress_add(p->drawing, name, actions[kind]);
		(void)map_set(&p->lines, id, line);
		progress_set(p->drawing, line->index, STATE_RUNNING, NULL);
	}
	if (line->is_done)
		return;
	AUTO_FREE char *size = text_size(total ? total : done);
	line->is_done = total && done >= total;
	if (line->is_done)
		progress_set(p->drawing, line->index, STATE_DONE, size);
	else
		progress_transfer(p->drawing, line->index, done, total);
}

void image_progress_release(struct image_progress *p)
{
	map_release(&p->lines, free);
}
