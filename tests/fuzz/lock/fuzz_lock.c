/* SPDX-License-Identifier: MIT */
/* Locks come with somebody else's repository: what is read prints as what is read again, each name
 * is there once, in order, and two that are the same have no difference. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/git_url.h"
#include "spec/lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void differ(void *arg, const struct spec_pin *old, const struct spec_pin *new)
{
	(void)arg;
	(void)old;
	(void)new;
	abort();
}

static void check(const struct spec_pin *pin)
{
	if (pin->is_include && (!git_is_commit(pin->id) || strlen(pin->sha256) != 64))
		abort();
	if (!pin->is_include && (!pin->platform || !strchr(pin->id, ':')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_PINS first = { 0 };
	AUTO_PINS second = { 0 };
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_DIAGNOSTICS none = DIAGNOSTICS_INIT;
	AUTO_BUFFER a = BUFFER_INIT;
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (size > SPEC_LOCK_MAX)
		return 0;
	if (spec_lock_parse((const char *)data, size, "env.lock", &first, &diags, &err) < 0) {
		if (!diags.count)
			abort();
		return 0;
	}
	for (size_t i = 0; i < first.count; i++) {
		check(&first.items[i]);
		if (spec_pins_find(&first, first.items[i].name, first.items[i].platform) !=
		    &first.items[i])
			abort();
	}
	spec_pins_print(&first, &a);
	if (spec_lock_parse(buffer_str(&a), a.size, "again", &second, &none, &err) < 0)
		abort();
	spec_pins_diff(&first, &second, differ, NULL);
	spec_pins_print(&second, &b);
	if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
		abort();
	return 0;
}
