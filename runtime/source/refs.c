/* SPDX-License-Identifier: MIT */
/* Which of the advertised refs is meant. */
#include "runtime/source/refs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"

static const struct advertised *find(const struct advertised *all, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

static void take(struct ref_choice *ret, const struct advertised *ref, const char *commit)
{
	ret->ref = ref;
	memcpy(ret->commit, commit, sizeof(ret->commit));
}

/* An annotated tag is an object of its own; the server says beside it what it points to. */
static void take_peeled(const struct advertised *all, size_t count, const struct advertised *ref,
			struct ref_choice *ret)
{
	AUTO_FREE char *peeled_name = xasprintf("%s^{}", ref->name);
	const struct advertised *peeled = find(all, count, peeled_name);

	take(ret, ref, peeled ? peeled->id : ref->id);
}

/* A branch is asked for by its name; what HEAD stands for older servers do not tell. */
static int choose_head(const struct advertised *all, size_t count, struct ref_choice *ret,
		       struct error *err)
{
	const struct advertised *head = find(all, count, "HEAD"), *branch = NULL;

	if (!head)
		return error_set(err, E_NOT_FOUND,
				 "the repository has no HEAD; name a branch behind \"#\"");
	if (head->symref)
		branch = find(all, count, head->symref);
	for (size_t i = 0; !branch && i < count; i++)
		if (str_starts(all[i].name, "refs/heads/") && strcmp(all[i].id, head->id) == 0)
			branch = &all[i];
	take(ret, branch ? branch : head, branch ? branch->id : head->id);
	return 0;
}

static int choose_commit(const struct advertised *all, size_t count, const char *commit,
			 struct ref_choice *ret)
{
	const struct advertised *found = NULL;

	for (size_t i = 0; !found && i < count; i++)
		if (strcmp(all[i].id, commit) == 0 && !str_ends(all[i].name, "^{}") &&
		    str_starts(all[i].name, "refs/"))
			found = &all[i];
	take(ret, found, commit);
	return 0;
}

static const char *short_name(const char *name)
{
	return strncmp(name, "refs/heads/", 11) == 0  ? name + 11
	       : strncmp(name, "refs/tags/", 10) == 0 ? name + 10
						      : NULL;
}

static int not_there(const struct advertised *all, size_t count, const char *ref, struct error *err)
{
	const char **names = xcalloc(count + 1, sizeof(*names));
	size_t n = 0, size = strlen(ref);
	AUTO_FREE char *near = NULL;

	for (size_t i = 0; i < count; i++)
		if (short_name(all[i].name) && !str_ends(all[i].name, "^{}"))
			names[n++] = short_name(all[i].name);
	if (text_suggest(ref, names, n))
		near = text_escaped(text_suggest(ref, names, n));
	free(names);
	if (size >= 4 && size < GIT_COMMIT_DIGITS && strspn(ref, "0123456789abcdef") == size)
		return error_set(err, E_NOT_FOUND,
				 "there is no branch or tag '%s'; of a commit give all 40 digits",
				 ref);
	return error_set(err, E_NOT_FOUND, "there is no branch or tag '%s'%s%s%s", ref,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int ref_choose(const struct advertised *all, size_t count, const char *ref, struct ref_choice *ret,
	       struct error *err)
{
	AUTO_FREE char *branch_name = xasprintf("refs/heads/%s", ref ? ref : "");
	AUTO_FREE char *tag_name = xasprintf("refs/tags/%s", ref ? ref : "");
	AUTO_FREE char *other_name = xasprintf("refs/%s", ref ? ref : "");
	const struct advertised *branch, *tag;

	if (!ref)
		return choose_head(all, count, ret, err);
	if (git_is_commit(ref))
		return choose_commit(all, count, ref, ret);
	branch = find(all, count, branch_name);
	tag = find(all, count, tag_name);
	if (branch && tag)
		return error_set(err, E_CONFLICT,
				 "'%s' is a branch and a tag; say which: #refs/heads/%s or "
				 "#refs/tags/%s",
				 ref, ref, ref);
	if (!branch && !tag && str_starts(ref, "refs/"))
		branch = find(all, count, ref);
	if (!branch && !tag && str_starts(ref, "pull/"))
		branch = find(all, count, other_name);
	if (!branch && !tag)
		return not_there(all, count, ref, err);
	take_peeled(all, count, branch ? branch : tag, ret);
	return 0;
}
