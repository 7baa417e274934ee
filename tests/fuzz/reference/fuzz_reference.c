/* SPDX-License-Identifier: MIT */
/* References from specs and command lines: whatever is accepted prints to something that parses to
 * the same. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "runtime/oci/platform.h"
#include "runtime/oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct reference *r, char *printed)
{
	AUTO_FREE char *text = printed;
	AUTO_FREE char *full = reference_text(r);
	AUTO_ERROR err = ERROR_INIT;
	AUTO_REFERENCE again = REFERENCE_INIT;
	if (strlen(text) > REFERENCE_MAX)
		return;
	if (reference_parse(text, &again, &err) < 0)
		abort();
	AUTO_FREE char *twice = reference_text(&again);
	if (strcmp(full, twice) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	AUTO_ERROR err = ERROR_INIT;
	AUTO_REFERENCE r = REFERENCE_INIT;
	if (reference_parse(text, &r, &err) == 0) {
		check_same(&r, reference_text(&r));
		check_same(&r, reference_familiar(&r));
		(void)host_is_loopback(r.host);
		(void)host_is_link_local(r.host);
	}
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_PLATFORM p = PLATFORM_INIT;
	if (platform_parse(text, &p, &ignored) == 0) {
		AUTO_FREE char *shown = platform_text(&p);
		if (platform_rank(&p, &p) < 0 || !*shown)
			abort();
	}
	return 0;
}
