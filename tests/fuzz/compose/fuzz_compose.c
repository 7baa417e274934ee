/* SPDX-License-Identifier: MIT */
/* A Compose file from bytes: what is made of it is YAML that the language's own parser reads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/compose/import.h"
#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_DIAGNOSTICS again = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER yaml = BUFFER_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ENVIRONMENT env = NULL;
	int r = compose_import((const char *)data, size, "compose.yaml", &yaml, &diags, &err);
	diagnostics_print(&diags, false, &out);
	if (r < 0)
		return 0;
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = buffer_str(&yaml);
	o.text_size = yaml.size;
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &again, &err) < 0)
		error_clear(&err);
	/* It may say what the Compose file had wrong, but never be broken as YAML. */
	for (size_t i = 0; i < again.count; i++)
		if (strcmp(again.items[i].code, "E001") == 0)
			abort();
	return 0;
}
