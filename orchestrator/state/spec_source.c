/* SPDX-License-Identifier: MIT */
/* Where a spec came from, in memory and in records. */
#include "orchestrator/state/spec_source.h"

#include "base/alloc.h"
#include "base/git_url.h"

void spec_source_release(struct spec_source *s)
{
	free(s->url);
	free(s->ref);
	free(s->commit);
	free(s->path);
	*s = SPEC_SOURCE_INIT;
}

void spec_source_copy(struct spec_source *ret, const struct spec_source *s)
{
	*ret = (struct spec_source){
		.url = xstrdup_null(s->url),
		.ref = xstrdup_null(s->ref),
		.commit = xstrdup_null(s->commit),
		.path = xstrdup_null(s->path),
	};
}

bool spec_source_is_git(const struct spec_source *s)
{
	return s->url != NULL;
}

/* The parts as they are read from the command line; false if they cannot be from there. */
static bool to_url(const struct spec_source *s, struct git_url *ret)
{
	AUTO_ERROR err = ERROR_INIT;

	if (git_url_parse(s->url, ret, &err) < 0 || ret->ref || ret->path)
		return false;
	if ((s->ref && git_ref_problem(s->ref)) || git_path_problem(s->path))
		return false;
	ret->ref = xstrdup_null(s->ref);
	ret->path = xstrdup(s->path);
	return true;
}

char *spec_source_text(const struct spec_source *s)
{
	AUTO_GIT_URL u = GIT_URL_INIT;

	if (!spec_source_is_git(s) || !to_url(s, &u))
		return NULL;
	return git_url_text(&u);
}

struct json *spec_source_to_json(const struct spec_source *s)
{
	struct json *o = json_new_object();

	json_set_string(o, "url", s->url);
	json_set_string(o, "ref", s->ref);
	json_set_string(o, "commit", s->commit);
	json_set_string(o, "path", s->path);
	return o;
}

int spec_source_from_json(const struct json *o, const char *what, struct spec_source *ret,
			  struct error *err)
{
	AUTO_SPEC_SOURCE s = {
		.url = xstrdup_null(json_str(o, "url", NULL)),
		.ref = xstrdup_null(json_str(o, "ref", NULL)),
		.commit = xstrdup_null(json_str(o, "commit", NULL)),
		.path = xstrdup_null(json_str(o, "path", NULL)),
	};
	AUTO_GIT_URL u = GIT_URL_INIT;

	if (!s.url || !s.commit || !s.path || !git_is_commit(s.commit) || !to_url(&s, &u))
		return error_set(err, E_INVALID, "%s: \"source\" is damaged", what);
	*ret = s;
	s = SPEC_SOURCE_INIT;
	return 0;
}
