/* SPDX-License-Identifier: MIT */
/* Names of files in git from specs and command lines: whatever is accepted prints to something that
 * parses to the same, and leads nowhere it must not. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/git_url.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_harmless(const char *part)
{
	AUTO_FREE char *framed = xasprintf("/%s/", part ? part : "");
	if (strstr(framed, "/../") || strstr(framed, "/./") || strcasestr(framed, "/.git/") ||
	    strstr(framed, "/-") || strchr(framed, '\n'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	AUTO_ERROR err = ERROR_INIT;
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_GIT_URL again = GIT_URL_INIT;
	if (git_url_parse(text, &u, &err) < 0)
		return 0;
	check_harmless(u.repo + 1);
	check_harmless(u.ref);
	check_harmless(u.path);
	AUTO_FREE char *repo = git_url_repo(&u);
	AUTO_FREE char *transport = git_url_transport(&u);
	AUTO_FREE char *printed = git_url_text(&u);
	if (!git_url_is(text) || transport[0] == '-' || strchr(repo, '#'))
		abort();
	if (strlen(printed) > GIT_URL_MAX)
		return 0;
	if (git_url_parse(printed, &again, &err) < 0)
		abort();
	AUTO_FREE char *twice = git_url_text(&again);
	if (strcmp(printed, twice) != 0 || !str_equal(u.path, again.path) ||
	    !str_equal(u.ref, again.ref) || !str_equal(u.host, again.host) || u.port != again.port)
		abort();
	return 0;
}
