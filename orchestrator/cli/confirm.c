/* SPDX-License-Identifier: MIT */
/* Asking before data is lost. */
#include "orchestrator/cli/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"

static bool loses_data(const struct action *a)
{
	return a->object == OBJECT_VOLUME &&
	       (a->kind == ACTION_REPLACE || a->kind == ACTION_DESTROY);
}

static int check_protected(const struct plan *p, const struct env_record *record, struct error *err)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct volume_record *v =
			loses_data(&p->actions[i]) ? env_record_volume(record, p->actions[i].name)
						   : NULL;

		if (v && v->protect)
			return error_set(
				err, E_DENIED,
				"volume '%s' is protected, so that nothing was done; to give "
				"it up, write protect: false, run ctrz up, and try again",
				v->name);
	}
	return 0;
}

static void list_names(const struct plan *p, struct buffer *out)
{
	for (size_t i = 0; i < p->count; i++)
		if (loses_data(&p->actions[i]))
			buffer_printf(out, "%s'%s'", out->size ? ", " : "", p->actions[i].name);
}

static bool is_yes(const char *answer)
{
	return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0 ||
	       strcmp(answer, "Y\n") == 0;
}

bool confirm_yes(const char *question)
{
	char answer[16] = "";

	(void)fprintf(stderr, "%s [y/N] ", question);
	if (fgets(answer, sizeof(answer), stdin))
		return is_yes(answer);
	(void)fputc('\n', stderr);
	return false;
}

int confirm_data_loss(struct cli *cli, const struct options *o, const struct plan *p,
		      const struct env_record *record, struct error *err)
{
	AUTO_BUFFER names = BUFFER_INIT;
	AUTO_FREE char *question = NULL;

	if (!plan_loses_data(p))
		return 0;
	cli->failure_exit = EXIT_FAILED;
	if (check_protected(p, record, err) < 0)
		return -(int)err->code;
	cli->failure_exit = 0;
	if (option_given(o, "yes"))
		return 0;
	cli->failure_exit = EXIT_FAILED;
	list_names(p, &names);
	if (!isatty(STDIN_FILENO))
		return error_set(
			err, E_DENIED,
			"all data of volume %s would be lost, so that nothing was done; if that "
			"is wanted, say -y",
			buffer_str(&names));
	question = xasprintf("All data of volume %s will be lost. Go on?", buffer_str(&names));
	if (!confirm_yes(question))
		return error_set(err, E_DENIED, "nothing was done");
	cli->failure_exit = 0;
	return 0;
}
