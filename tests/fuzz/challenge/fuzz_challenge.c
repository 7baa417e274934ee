/* SPDX-License-Identifier: MIT */
/* WWW-Authenticate headers, the token services they name, and base64 of credential files. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "runtime/oci/challenge.h"
#include "runtime/oci/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_STRLIST headers = STRLIST_INIT;
	strlist_take(&headers, xstrndup((const char *)data, size));
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CHALLENGE c = CHALLENGE_INIT;
	if (challenge_choose(&headers, &c, &err) == 0) {
		AUTO_ERROR refused = ERROR_INIT;
		bool trusted = false;
		if (!c.realm || (c.scheme == CHALLENGE_BEARER && !*c.realm))
			abort();
		if (realm_check(c.realm, "registry.example", false, NULL, &trusted, &refused) ==
			    0 &&
		    strncasecmp(c.realm, "https:", 6) != 0)
			abort();
	}
	size_t decoded_size = 0;
	AUTO_FREE char *decoded = base64_decode(headers.items[0], &decoded_size);
	if (decoded) {
		AUTO_FREE char *again = base64_encode(decoded, decoded_size);
		if (strlen(again) < decoded_size)
			abort();
	}
	return 0;
}
