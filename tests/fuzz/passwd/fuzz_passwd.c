/* SPDX-License-Identifier: MIT */
/* Three texts divided by NUL bytes: whom to look for, /etc/passwd, /etc/group. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "vminitd/agent/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Three terminators, so that each text has an end. */
	AUTO_FREE char *text = xcalloc(1, size + 3);
	struct strlist extra = STRLIST_INIT;
	struct identity id;
	AUTO_ERROR err = ERROR_INIT;

	memcpy(text, data, size);
	const char *user = text;
	const char *passwd = user + strlen(user) + 1;
	const char *group = passwd + strlen(passwd) + 1;
	strlist_add(&extra, "wheel");
	if (identity_resolve(user, &extra, passwd, group, &id, &err) == 0) {
		if (!id.home || id.group_count == 0 || id.uid == UINT32_MAX)
			abort();
		identity_release(&id);
	}
	strlist_release(&extra);
	return 0;
}
