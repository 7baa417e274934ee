/* SPDX-License-Identifier: MIT */
/* What a server advertises is any text: a ref is found only under its own name. The first line is
 * the ref, "-" = HEAD; each further one a name, with " " and what it stands for. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "runtime/source/refs.h"

enum { REFS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_refs(char *text, struct advertised *refs)
{
	size_t count = 0;
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line && count < REFS_MAX;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *symref = strchr(line, ' ');
		if (symref)
			*symref++ = '\0';
		refs[count] = (struct advertised){ .name = line, .symref = symref };
		memset(refs[count].id, 'a' + (int)(strlen(line) % 6), GIT_COMMIT_DIGITS);
		count++;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct advertised refs[REFS_MAX];
	AUTO_ERROR err = ERROR_INIT;
	struct ref_choice c = { 0 };
	char *all = strchr(text, '\n');
	if (!all)
		return 0;
	*all++ = '\0';
	const char *ref = strcmp(text, "-") == 0 ? NULL : text;
	size_t count = read_refs(all, refs);
	if (ref && git_ref_problem(ref))
		return 0;
	if (ref_choose(refs, count, ref, &c, &err) < 0)
		return 0;
	if (!git_is_commit(c.commit) || (!c.ref && (!ref || !git_is_commit(ref))))
		abort();
	if (ref && !git_is_commit(ref) && !str_ends(c.ref->name, ref))
		abort();
	return 0;
}
