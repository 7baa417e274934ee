/* SPDX-License-Identifier: MIT */
/* Files of variables: names are names, values are within their line, and two files and env itself
 * come together sorted, each name once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/load.h"
#include "spec/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

/* The first file is the whole input, the second its second half; there is no third. */
static int give(void *arg, const char *path, size_t max, struct buffer *out, struct error *err)
{
	const struct input *in = arg;
	size_t from = path[0] == '1' ? 0 : in->size / 2;

	(void)max;
	if (path[0] == '3')
		return error_set(err, E_NOT_FOUND, "no such file");
	if (in->size)
		buffer_add(out, in->data + from, in->size - from);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	struct spec_arena *arena = arena_new();
	struct input in = { data, size };
	struct spec_host host = { .arg = &in, .read = give };
	struct spec_text files[] = { { .text = "1" }, { .text = "2" }, { .text = "3" } };
	struct spec_container c = { .env_file = { .items = files, .count = 3 } };

	diags.sources = sources_new();
	struct decode d = {
		.arena = arena, .diags = &diags, .sources = diags.sources, .host = &host
	};
	model_read_env_files(&d, &c);
	for (size_t i = 0; i < c.env.count; i++)
		if (!c.env.items[i].key[0] || strchr(c.env.items[i].value.text, '\n') ||
		    (i && strcmp(c.env.items[i - 1].key, c.env.items[i].key) >= 0))
			abort();
	diagnostics_print(&diags, false, &out);
	arena_free(arena);
	return 0;
}
