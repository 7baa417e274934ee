/* SPDX-License-Identifier: MIT */
/* Reading the spec of what runs. */
#include "orchestrator/cli/applied.h"

#include "base/file.h"
#include "orchestrator/state/env_store.h"

int applied_container(const struct cli *cli, const struct env_record *env,
		      const struct container_record *c, struct environment **ret_spec,
		      const struct spec_container **ret, struct error *err)
{
	AUTO_FREE char *path = env_store_path(&cli->paths, env->id, "spec.json");
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ENVIRONMENT spec = NULL;
	int r = file_read(path, SPEC_FILE_MAX, &text, err);

	if (r == 0)
		r = spec_load_json(buffer_str(&text), text.size, path, &spec, err);
	if (r < 0)
		return error_wrap(err, "read what '%s' was made from", env->name);
	*ret = environment_container(spec, c->name);
	if (!*ret)
		return error_set(err, E_INTERNAL, "'%s' is not in %s", c->name, path);
	*ret_spec = TAKE_PTR(spec);
	return 0;
}
