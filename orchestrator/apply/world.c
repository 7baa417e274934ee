/* SPDX-License-Identifier: MIT */
/* Putting together what is known of an environment. */
#include "orchestrator/apply/world.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/trace.h"
#include "orchestrator/apply/contents.h"
#include "orchestrator/plan/from_spec.h"
#include "orchestrator/state/env_store.h"
#include "orchestrator/state/secret_store.h"
#include "runtime/machine/kernel_store.h"

enum { SPEC_JSON_MAX = 64 << 20 };

static void drop_applied(struct world *w)
{
	if (w->applied != w->wanted)
		environment_free(w->applied);
	w->applied = NULL;
}

void world_release(struct world *w)
{
	env_record_release(&w->record);
	spec_source_release(&w->source);
	git_files_free(w->git);
	drop_applied(w);
	environment_free(w->wanted);
	spec_pins_release(&w->pins);
	json_free(w->wanted_json);
	observed_release(&w->observed);
	*w = (struct world){ 0 };
}

void world_open_record(const struct host_paths *paths, struct env_record *record, struct world *ret)
{
	*ret = (struct world){ .paths = paths, .record = *record, .is_known = true };
	*record = (struct env_record){ 0 };
}

/* A misspelled file is often beside the right one. */
static int no_file(const char *file, struct error *err)
{
	static const char *const usual[] = { "env.yaml", "env.yml" };
	const char *slash = strrchr(file, '/');

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		AUTO_FREE char *beside =
			xasprintf("%.*s%s", slash ? (int)(slash + 1 - file) : 0, file, usual[i]);

		if (file_exists(beside))
			return error_set(err, E_NOT_FOUND, "there is no '%s'; did you mean '%s'?",
					 file, beside);
	}
	return error_set(err, E_NOT_FOUND, "there is no '%s'", file);
}

int world_open_file(const struct host_paths *paths, const char *file, struct world *ret,
		    struct error *err)
{
	struct world w = { .paths = paths };
	int r;

	if (!file_exists(file))
		return no_file(file, err);
	r = env_store_find_file(paths, file, &w.record, &w.has_moved, err);
	w.is_known = r == 0;
	if (r == -E_NOT_FOUND) {
		error_clear(err);
		r = env_store_create(file, "", &w.record, err);
	}
	if (r < 0)
		return r;
	*ret = w;
	return 0;
}

static char *moved_text(const struct source_commit *c, const struct git_url *u)
{
	const char *ref = u->ref ? u->ref : "HEAD";

	switch (c->moved) {
	case SOURCE_AHEAD:
		return xasprintf("%s moved %zu commit%s on, to %.7s; take it with --update", ref,
				 c->ahead, c->ahead == 1 ? "" : "s", c->tip);
	case SOURCE_REWRITTEN:
		return xasprintf(
			"%s was rewritten and does not lead to %.7s any more, but to %.7s; "
			"take it with --update",
			ref, c->id, c->tip);
	case SOURCE_GONE:
		return xasprintf("there is no %s any more; %.7s stays in use", ref, c->id);
	case SOURCE_UNKNOWN:
		return xasprintf("whether %s moved could not be asked; %.7s stays in use: %s", ref,
				 c->id, c->problem ? c->problem : "");
	case SOURCE_NOT_ASKED:
	case SOURCE_SAME:
	default:
		return NULL;
	}
}

int world_open_git(struct world *w, const struct git_want *want, char **ret_file, char **ret_moved,
		   struct error *err)
{
	const struct git_url *u = want->url;
	CLEANUP(git_spec_release) struct git_spec s = { 0 };
	AUTO_ENV_RECORD record = { 0 };
	AUTO_ERROR ignored = ERROR_INIT;
	const char *pinned = want->commit;
	int found = env_store_find_source(w->paths, u, &record, &ignored), r;

	if (found < 0)
		error_ignore(&ignored, "look for the environment of a URL");
	else if (!pinned && !want->update && str_equal(record.source.ref, u->ref))
		pinned = record.source.commit;
	r = git_files_open(w->git, u, pinned, &s, err);
	if (r < 0)
		return r;
	if (found == 0) {
		w->record = record;
		record = (struct env_record){ 0 };
		w->is_known = true;
	} else {
		env_store_create_source(s.file, &w->record);
	}
	*ret_moved = pinned ? moved_text(&s.commit, u) : NULL;
	w->source = s.source;
	s.source = SPEC_SOURCE_INIT;
	*ret_file = TAKE_PTR(s.file);
	return 0;
}

int world_keep_json(struct world *w, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;

	if (!w->wanted || w->wanted_json)
		return 0;
	spec_json(w->wanted, &text);
	return json_parse(buffer_str(&text), text.size, SPEC_JSON_MAX, "the spec", &w->wanted_json,
			  err);
}

int world_load_wanted(struct world *w, const struct spec_request *request,
		      struct diagnostics *diags, struct error *err)
{
	struct host_facts facts = {
		.paths = w->paths, .own = &w->record, .git = w->git, .file = w->record.file
	};
	struct spec_host host;
	struct spec_options o = SPEC_OPTIONS_INIT;
	int r;

	host_facts_init(&facts, &host);
	o.files = (const char *const *)request->files->items;
	o.file_count = request->files->count;
	o.first_name = request->first_name;
	o.profiles = request->profiles ? (const char *const *)request->profiles->items : NULL;
	o.profile_count = request->profiles ? request->profiles->count : 0;
	o.host = &host;
	o.resources = request->resources;
	o.lock = request->lock;
	r = spec_load(&o, &w->wanted, diags, err);
	if (r == 0 && w->wanted->lock)
		spec_pins_of(w->wanted->lock, &w->pins);
	return r;
}

static void set_applied(struct json *spec, const char *key, struct json *members)
{
	json_set(spec, key, members);
}

/* spec.json with the containers and networks as the records hold them: an apply may have got only
 * half way. */
static void overlay_records(const struct env_record *r, struct json *spec)
{
	struct json *containers = json_new_object();
	struct json *networks = json_new_object();

	for (size_t i = 0; i < r->container_count; i++) {
		struct json *of_container = container_record_spec(&r->containers[i]);

		if (of_container)
			json_set(containers, r->containers[i].name, of_container);
	}
	for (size_t i = 0; i < r->network_count; i++)
		if (r->networks[i].spec)
			json_set(networks, r->networks[i].name, json_ref(r->networks[i].spec));
	set_applied(spec, "containers", containers);
	set_applied(spec, "networks", networks);
}

/* A volume that spec.json does not name any more may be mounted by a container that still runs. */
static void overlay_volumes(const struct env_record *r, struct json *spec)
{
	struct json *volumes = json_member_object(spec, "volumes");

	if (!volumes && r->volume_count) {
		volumes = json_new_object();
		json_set(spec, "volumes", volumes);
	}
	for (size_t i = 0; i < r->volume_count; i++) {
		struct json *o;

		if (json_member(volumes, r->volumes[i].name))
			continue;
		o = json_new_object();
		json_set_int(o, "size", (int64_t)r->volumes[i].size_bytes);
		json_set(volumes, r->volumes[i].name, o);
	}
}

static int read_overlaid(const struct world *w, const char *path, struct buffer *out,
			 struct error *err)
{
	AUTO_JSON spec = NULL;
	int r = json_read_file(path, SPEC_JSON_MAX, &spec, err);

	if (r < 0)
		return r;
	overlay_records(&w->record, spec);
	overlay_volumes(&w->record, spec);
	json_print(spec, 0, false, out);
	return 0;
}

/* Whether the spec in @text, as spec_json() wrote it, is the wanted one: the usual case, in which
 * it need not be read. */
static bool is_wanted(const struct world *w, const struct buffer *text)
{
	AUTO_BUFFER wanted = BUFFER_INIT;

	if (!w->wanted)
		return false;
	(void)buffer_reserve(&wanted, text->size);
	spec_json(w->wanted, &wanted);
	return wanted.size == text->size && memcmp(wanted.data, text->data, text->size) == 0;
}

void world_load_applied(struct world *w)
{
	AUTO_FREE char *path = env_store_path(w->paths, w->record.id, "spec.json");
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;

	if (w->applied && w->applied_serial == w->record.serial)
		return;
	drop_applied(w);
	w->applied_serial = w->record.serial;
	if (!env_record_is_up(&w->record))
		return;
	if (w->record.is_whole ? file_read(path, SPEC_JSON_MAX, &text, &err) < 0
			       : read_overlaid(w, path, &text, &err) < 0) {
		error_ignore(&err, "read the applied spec");
		return;
	}
	if (is_wanted(w, &text)) {
		w->applied = w->wanted;
		return;
	}
	if (spec_load_json(buffer_str(&text), text.size, path, &w->applied, &err) < 0)
		error_ignore(&err, "read the applied spec");
}

int world_want_applied(struct world *w, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;

	if (!w->applied)
		return error_set(err, E_NOT_FOUND, "'%s' is down; bring it up with: ctrz up %s",
				 w->record.name, w->record.file);
	w->wants_applied = true;
	spec_json(w->applied, &text);
	return spec_load_json(buffer_str(&text), text.size, "the applied spec", &w->wanted, err);
}

int world_read_again(struct world *w, struct error *err)
{
	struct env_record fresh = { 0 };
	int r;

	if (env_store_is_current(w->paths, &w->record))
		return 0;
	r = env_store_read(w->paths, w->record.id, &fresh, err);

	if (r == -E_NOT_FOUND && !w->is_known) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	env_record_release(&w->record);
	w->record = fresh;
	w->is_known = true;
	return 0;
}

/* The digest that a container's image has to have; NULL = any. What was applied keeps its own. */
static const char *pinned_digest(const struct world *w, const struct spec_container *c)
{
	const struct container_record *record;
	const struct spec_pin *pin;

	if (w->wants_applied) {
		record = env_record_container(&w->record, c->o.name);
		return record ? record->image_digest : NULL;
	}
	if (!container_is_locked(c))
		return NULL;
	pin = spec_pins_find(&w->pins, c->image.text, host_platform());
	return pin ? pin->id : NULL;
}

char *world_image_name(const struct world *w, const struct spec_container *c)
{
	const char *digest = strchr(c->image.text, '@') ? NULL : pinned_digest(w, c);

	return digest ? xasprintf("%s@%s", c->image.text, digest) : xstrdup(c->image.text);
}

int world_find_image(const struct world *w, struct image_store *store,
		     const struct spec_container *c, struct image *ret, struct error *err)
{
	const char *digest = pinned_digest(w, c);
	AUTO_FREE char *name = world_image_name(w, c);

	/* Whatever name it has here, one of that digest is the one. */
	return image_store_find(store, digest && str_starts(digest, "sha256:") ? digest : name, ret,
				err);
}

/* Images of the wanted containers, looked up once each. */
struct image_lookup {
	const struct world *w;
	const struct host_config *config;
	enum resolve_mode mode;
	struct image_store *store; /* NULL = not opened yet */
	struct map found;          /* "POLICY NAME" -> struct image_fact */
	struct error failure;      /* of the first registry that had to answer */
};

static void fact_free(void *p)
{
	struct image_fact *f = p;

	free(f->digest);
	free(f->pinned);
	free(f);
}

static void image_lookup_release(struct image_lookup *l)
{
	image_store_close(l->store);
	map_release(&l->found, fact_free);
	error_clear(&l->failure);
}

static void find_here(struct image_lookup *l, const struct spec_container *c,
		      struct image_fact *ret)
{
	struct image found = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	const char *digest = pinned_digest(l->w, c);

	ret->digest = xstrdup_null(digest);
	if (digest && !strchr(c->image.text, '@'))
		ret->pinned = world_image_name(l->w, c);
	if (world_find_image(l->w, l->store, c, &found, &err) < 0) {
		error_ignore(&err, "look for an image");
		return;
	}
	free(ret->digest);
	ret->digest = xstrdup(found.digest);
	ret->is_here = true;
	image_release(&found);
}

static bool must_ask(const struct image_lookup *l, const struct spec_container *c)
{
	if (pinned_digest(l->w, c))
		return false;
	if (c->pull.value == SPEC_PULL_NEVER || l->mode == RESOLVE_STORE)
		return false;
	return c->pull.value == SPEC_PULL_ALWAYS || l->mode == RESOLVE_UPDATE;
}

static void ask_registry(struct image_lookup *l, const struct spec_container *c, bool must,
			 struct image_fact *ret)
{
	struct image_offer offer = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (image_store_ask(l->store, c->image.text, &offer, &err) == 0) {
		free(ret->digest);
		ret->digest = TAKE_PTR(offer.digest);
		ret->is_here = offer.is_here;
		ret->download_known = true;
		ret->download_bytes = offer.download_bytes;
	} else if (must && !error_is_set(&l->failure)) {
		err.pos = c->image.at.pos;
		(void)error_move(&l->failure, &err);
	} else {
		error_ignore(&err, "ask for the size of an image");
	}
	image_offer_release(&offer);
}

/* What is not here may be asked for its size, but nobody is asked about what is locked. */
static bool may_ask(const struct image_lookup *l, const struct spec_container *c,
		    const struct image_fact *fact)
{
	return l->mode == RESOLVE_SIZES && !fact->is_here && !fact->pinned &&
	       c->pull.value != SPEC_PULL_NEVER;
}

static const struct image_fact *image_of(void *arg, const struct spec_container *c)
{
	struct image_lookup *l = arg;
	AUTO_FREE char *name = world_image_name(l->w, c);
	AUTO_FREE char *key = xasprintf("%d %s", (int)c->pull.value, name);
	struct image_fact *fact = map_get(&l->found, key);
	bool must = must_ask(l, c);
	AUTO_ERROR err = ERROR_INIT;

	if (fact)
		return fact;
	fact = xcalloc(1, sizeof(*fact));
	(void)map_set(&l->found, key, fact);
	if (!l->store && host_images_read(l->w->paths, l->config, NULL, &l->store, &err) < 0) {
		error_ignore(&err, "open the image store");
		return fact;
	}
	find_here(l, c, fact);
	if (c->is_active && !error_is_set(&l->failure) && (must || may_ask(l, c, fact)))
		ask_registry(l, c, must, fact);
	return fact;
}

static bool has_secret(void *arg, const char *name)
{
	const struct image_lookup *d = arg;

	return secret_store_has(d->w->paths, d->w->record.id, name);
}

static bool content_differs(void *arg, const char *container, const char *kind, const char *name)
{
	const struct image_lookup *d = arg;

	return contents_differ(d->w, container, kind, name);
}

static char *kernel_name(const struct host_paths *paths)
{
	struct kernel_list list = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	char *name = NULL;

	if (kernel_store_list(paths, &list, &err) < 0) {
		error_ignore(&err, "list kernels");
		return NULL;
	}
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].is_default)
			name = xstrdup(list.items[i].name);
	kernel_list_release(&list);
	return name;
}

int world_plan(const struct world *w, const struct strlist *selected,
	       const struct host_config *config, enum resolve_mode mode, struct plan *ret,
	       struct error *err)
{
	TRACE("plan");
	CLEANUP(image_lookup_release)
	struct image_lookup lookup = { .w = w, .config = config, .mode = mode };
	AUTO_FREE char *kernel = kernel_name(w->paths);
	AUTO_DESIRED desired = { 0 };
	struct desired_facts facts = { .selected = selected,
				       .kernel = kernel,
				       .image = image_of,
				       .has_secret = has_secret,
				       .content_differs = content_differs,
				       .arg = &lookup };
	int r = desired_from_spec(w->wanted, w->applied, &facts, &desired, err);

	if (r == 0 && error_is_set(&lookup.failure))
		r = error_move(err, &lookup.failure);
	if (r < 0)
		return r;
	if (spec_source_is_git(&w->source)) {
		AUTO_FREE char *url = spec_source_text(&w->source);

		free(desired.source);
		desired.source = xasprintf("%s @ %.7s", url, w->source.commit);
	}
	plan_make(&desired, &w->observed, ret);
	for (size_t i = 0; w->wants_applied && i < ret->count; i++)
		ret->actions[i].pos = (struct source_pos){ 0 };
	return 0;
}
