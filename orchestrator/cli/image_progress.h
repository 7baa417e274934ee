/* SPDX-License-Identifier: MIT */
/* The image store's progress, drawn as one line per layer. */
#ifndef CTRZ_ORCHESTRATOR_CLI_IMAGE_PROGRESS_H
#define CTRZ_ORCHESTRATOR_CLI_IMAGE_PROGRESS_H

#include "base/map.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/progress.h"
#include "runtime/image/image_store.h"

struct image_progress {
	struct progress *drawing; /* lent */
	struct map lines;         /* id -> what is drawn of it */
};

/** image_progress_report() - an image_progress_fn; @arg is a struct image_progress */
void image_progress_report(void *arg, enum progress_kind kind, const char *id, uint64_t done,
			   uint64_t total);
void image_progress_release(struct image_progress *p);

#endif
