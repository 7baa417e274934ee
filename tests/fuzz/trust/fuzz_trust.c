/* SPDX-License-Identifier: MIT */
/* Files of what was agreed to: whatever is in one, what is read prints as what is read again, each
 * thing is there once, and nothing that it holds asks a second time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "orchestrator/state/trust_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_TRUST_RECORD first = { 0 };
	AUTO_TRUST_RECORD second = { 0 };
	AUTO_REACH_SET grown = { 0 };
	AUTO_BUFFER a = BUFFER_INIT;
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	char hash[TRUST_HASH_SIZE];

	if (trust_parse((const char *)data, size, "input", &first, &err) < 0)
		return 0;
	trust_print(&first, &a);
	if (trust_parse(buffer_str(&a), a.size, "again", &second, &err) < 0)
		abort();
	trust_print(&second, &b);
	if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
		abort();
	for (size_t i = 1; i < first.agreed.count; i++) {
		const struct spec_reach *x = &first.agreed.items[i - 1], *y = x + 1;

		if (x->kind > y->kind || (x->kind == y->kind && strcmp(x->what, y->what) >= 0))
			abort();
	}
	trust_grown(&first.agreed, &second.agreed, &grown);
	if (grown.count)
		abort();
	trust_hash(&first.agreed, hash);
	return 0;
}
