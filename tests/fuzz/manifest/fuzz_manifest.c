/* SPDX-License-Identifier: MIT */
/* Manifests, indexes and configs from registries; the first byte chooses what the input is called.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "runtime/oci/manifest.h"
#include "runtime/oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_manifest(const struct manifest *m)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_PLATFORM want = PLATFORM_INIT;
	size_t at = m->entry_count;
	platform_host(&want);
	if (m->kind == MANIFEST_INDEX && index_choose(m, &want, "image", &at, &err) == 0 &&
	    at >= m->entry_count)
		abort();
	for (size_t i = 0; i < m->entry_count; i++) {
		struct descriptor copy;
		if (!digest_is_valid(m->entries[i].digest))
			abort();
		descriptor_copy(&copy, &m->entries[i]);
		descriptor_release(&copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { NULL,
					     "",
					     MEDIA_OCI_MANIFEST,
					     MEDIA_OCI_INDEX,
					     MEDIA_DOCKER_INDEX,
					     MEDIA_DOCKER_MANIFEST };
	if (size == 0)
		return 0;
	const char *type = types[(data[0] - '0') % ARRAY_SIZE(types)];
	const char *text = (const char *)data + 1;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_MANIFEST m = MANIFEST_INIT;
	if (manifest_decode(text, size - 1, type, "image", &m, &err) == 0)
		use_manifest(&m);
	AUTO_ERROR other = ERROR_INIT;
	AUTO_OCI_CONFIG c = OCI_CONFIG_INIT;
	if (oci_config_decode(text, size - 1, "config", &c, &other) == 0) {
		AUTO_FREE char *id = chain_id(&c.diff_ids);
		if (!digest_is_valid(id))
			abort();
	}
	return 0;
}
