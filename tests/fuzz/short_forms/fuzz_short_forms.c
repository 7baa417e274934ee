/* SPDX-License-Identifier: MIT */
/* Short forms of mounts and ports, sizes, durations, modes, image names, signals; what has a way
 * back comes back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/fields/image_name.h"
#include "spec/fields/kernel_names.h"
#include "spec/fields/short_forms.h"
#include "spec/fields/units.h"
#include "spec/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_units(const char *text)
{
	int64_t value, again;
	if (!units_size(text, &value)) {
		AUTO_FREE char *back = units_size_text(value);
		if (units_size(back, &again) || again != value)
			abort();
	}
	if (!units_duration(text, &value)) {
		AUTO_FREE char *back = units_duration_text(value);
		if (units_duration(back, &again) || again != value)
			abort();
	}
	if (!units_mode(text, &value) && (value < 0 || value > 07777))
		abort();
	(void)units_number(text, &value);
}

static void check_image_name(const char *text)
{
	struct image_name name;
	const char *code;
	size_t at;
	if (image_name_parse(text, &name, &code, &at) && at > strlen(text))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	struct spec_arena *arena = arena_new();
	diags.sources = sources_new();
	struct decode d = {
		.arena = arena, .diags = &diags, .sources = diags.sources, .host = &no_host
	};
	const char *text =
		arena_strndup(arena, (const char *)data, strnlen((const char *)data, size));
	struct node like = { .kind = NODE_SCALAR, .width = 1 };
	struct node *n = node_new_scalar(arena, &like, text);
	struct node *list = node_new_collection(arena, &like, NODE_SEQUENCE, 2);
	check_units(text);
	check_image_name(text);
	(void)signal_number(text);
	(void)expand_mount(&d, n);
	(void)expand_restart(&d, n);
	node_add(list, NULL, n);
	struct node *plain = node_new_scalar(arena, &like, text);
	plain->style = STYLE_PLAIN;
	plain->is_interpolated = false;
	plain->type = (uint8_t)scalar_classify(text);
	node_add(list, NULL, plain);
	(void)reshape_ports(&d, &container_type.fields[0], list);
	(void)reshape_names(&d, &container_type.fields[0], list);
	for (int check = 0; check < CHECK_COUNT; check++) {
		check_text(&d, (enum text_check)check, n, text);
		check_key(&d, (enum text_check)check, n, "a ", "name");
	}
	arena_free(arena);
	return 0;
}
