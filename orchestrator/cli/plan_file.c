/* SPDX-License-Identifier: MIT */
/* Saved plans are JSON; what has to be the same later is in them as hashes. */
#include "orchestrator/cli/plan_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "orchestrator/cli/output.h"

enum { VERSION = 1, FILE_MAX_BYTES = 64 << 20, HASH_SIZE = 65 };

static const char magic[] = "{\"ctrz_plan\":";

void plan_file_release(struct plan_file *f)
{
	free(f->path);
	free(f->id);
	free(f->spec);
	free(f->steps);
	spec_source_release(&f->source);
	strlist_release(&f->files);
	strlist_release(&f->profiles);
	strlist_release(&f->names);
	*f = (struct plan_file){ 0 };
}

bool plan_file_is(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[sizeof(magic) - 1];

	return fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
	       memcmp(head, magic, sizeof(head)) == 0;
}

static void hash_steps(const struct plan *p, char out[HASH_SIZE])
{
	AUTO_FREE char *steps = plan_steps(p);

	sha256_hex(steps, strlen(steps), out);
}

/* Of all of it, also of what makes no difference to a machine. */
static void hash_spec(const struct world *w, char out[HASH_SIZE])
{
	AUTO_BUFFER text = BUFFER_INIT;

	spec_json(w->wanted, &text);
	if (w->pins.count)
		spec_pins_print(&w->pins, &text);
	sha256_hex(buffer_str(&text), text.size, out);
}

static void set_files(struct json *o, const struct target *target)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < target->files.count; i++) {
		AUTO_FREE char *real = realpath(target->files.items[i], NULL);

		json_add(list, json_new_string(real ? real : target->files.items[i]));
	}
	json_set(o, "files", list);
}

/* Of a spec in git the plan is for one commit. */
static void set_source(struct json *o, const struct world *w)
{
	if (spec_source_is_git(&w->source))
		json_set(o, "source", spec_source_to_json(&w->source));
}

int plan_file_write(const char *path, const struct target *target, bool update,
		    const struct world *w, const struct plan *p, struct error *err)
{
	AUTO_JSON o = json_new_object();
	AUTO_BUFFER text = BUFFER_INIT;
	char hash[HASH_SIZE];

	json_set_int(o, "ctrz_plan", VERSION);
	json_set_string(o, "id", w->is_known ? w->record.id : NULL);
	json_set_int(o, "serial", (int64_t)w->record.serial);
	hash_spec(w, hash);
	json_set_string(o, "spec", hash);
	hash_steps(p, hash);
	json_set_string(o, "steps", hash);
	set_files(o, target);
	set_source(o, w);
	json_set_strings(o, "profiles", &target->profiles);
	json_set_strings(o, "names", &target->names);
	json_set_bool(o, "update", update);
	json_set(o, "plan", plan_to_json(p));
	json_print(o, 0, false, &text);
	buffer_add_char(&text, '\n');
	return file_write_atomic(path, text.data, text.size, 0600, err);
}

int plan_file_read(const char *path, struct plan_file *ret, struct error *err)
{
	AUTO_PLAN_FILE f = { .path = xstrdup(path) };
	AUTO_JSON o = NULL;
	int r = json_read_file(path, FILE_MAX_BYTES, &o, err);

	if (r < 0)
		return r;
	if (json_u64(o, "ctrz_plan", 0) > VERSION)
		return error_set(err, E_CONFLICT, "'%s' was written by a newer ctrz", path);
	f.id = xstrdup_null(json_str(o, "id", NULL));
	f.serial = json_u64(o, "serial", 0);
	f.spec = xstrdup_null(json_str(o, "spec", NULL));
	f.steps = xstrdup_null(json_str(o, "steps", NULL));
	f.update = json_bool(o, "update", false);
	if (json_u64(o, "ctrz_plan", 0) != VERSION || !f.spec || !f.steps ||
	    !json_strings(o, "files", &f.files) || !json_strings(o, "profiles", &f.profiles) ||
	    !json_strings(o, "names", &f.names) || !f.files.count)
		return error_set(err, E_INVALID, "'%s' is a damaged plan", path);
	if (json_member(o, "source"))
		r = spec_source_from_json(json_member(o, "source"), path, &f.source, err);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct plan_file){ 0 };
	return 0;
}

int plan_file_target(const struct plan_file *f, struct target *ret, struct error *err)
{
	AUTO_FREE char *url = spec_source_text(&f->source);

	*ret = (struct target){ .file = xstrdup(f->files.items[0]), .update = f->update && !url };
	strlist_copy(&ret->files, &f->files);
	strlist_copy(&ret->profiles, &f->profiles);
	strlist_copy(&ret->names, &f->names);
	if (!url)
		return 0;
	ret->is_git = true;
	ret->commit = xstrdup(f->source.commit);
	return git_url_parse(url, &ret->url, err);
}

#define STALE "the plan '%s' is stale: "

int plan_file_check_state(const struct plan_file *f, const struct world *w, struct error *err)
{
	const struct env_record *r = &w->record;
	AUTO_FREE char *age = text_age(r->changed_unix_ms);
	/* One that was not known has been registered by us, and by nobody else. */
	bool same = f->id ? str_equal(f->id, r->id) && f->serial == r->serial : r->run == 0;
	char hash[HASH_SIZE];

	if (!same)
		return error_set(err, E_CONFLICT,
				 STALE "the state's serial was %llu and is %llu (%s, %s ago); plan "
				       "again",
				 f->path, (unsigned long long)f->serial,
				 (unsigned long long)r->serial,
				 r->changed_by ? r->changed_by : "changed", age);
	hash_spec(w, hash);
	if (strcmp(hash, f->spec) != 0)
		return error_set(err, E_CONFLICT, STALE "%s changed since; plan again", f->path,
				 f->files.items[0]);
	return 0;
}

int plan_file_check_steps(const struct plan_file *f, const struct plan *now, struct error *err)
{
	char hash[HASH_SIZE];

	hash_steps(now, hash);
	if (strcmp(hash, f->steps) != 0)
		return error_set(err, E_CONFLICT,
				 STALE "what runs or what the registries have changed since; plan "
				       "again",
				 f->path);
	return 0;
}
