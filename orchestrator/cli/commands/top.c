/* SPDX-License-Identifier: MIT */
/* ctrz top: the processes of a container. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "runtime/machine/machine.h"

static int by_pid(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* The kernel's letter, from outside. */
static char state_letter(uint32_t state)
{
	return state > ' ' && state < 127 ? (char)state : '?';
}

/* "0:01.25" of processor time */
static char *cpu_text(uint64_t ms)
{
	return xasprintf("%llu:%02u.%02u", (unsigned long long)(ms / 60000),
			 (unsigned)(ms / 1000 % 60), (unsigned)(ms / 10 % 100));
}

static char *age_text(uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (s < 3600)
		return xasprintf("%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
	return xasprintf("%llu:%02u:%02u", (unsigned long long)(s / 3600), (unsigned)(s / 60 % 60),
			 (unsigned)(s % 60));
}

static int print_table(const struct msg_top *top, struct error *err)
{
	static const char *const headings[] = { "PID",    "PPID",     "UID", "STATE",   "THREADS",
						"MEMORY", "CPU TIME", "AGE", "COMMAND", NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, headings);
	for (size_t i = 0; i < top->row_count; i++) {
		const struct top_row *p = &top->rows[i];
		AUTO_FREE char *memory = text_size(p->resident_bytes);
		AUTO_FREE char *cpu = cpu_text(p->cpu_ms);
		AUTO_FREE char *age = age_text(p->age_ms);

		table_cellf(&t, "%u", p->pid);
		table_cellf(&t, "%u", p->parent);
		table_cellf(&t, "%u", p->uid);
		table_cellf(&t, "%c", state_letter(p->state));
		table_cellf(&t, "%u", p->threads);
		table_cell(&t, memory);
		table_cell(&t, cpu);
		table_cell(&t, age);
		table_cell(&t, p->command);
	}
	if (top->left_out)
		(void)fprintf(stderr, "%u more processes are not shown\n", top->left_out);
	return out_table(&t, err);
}

static int print_json(const struct msg_top *top, struct error *err)
{
	AUTO_JSON all = json_new_object();
	struct json *list = json_new_array();

	for (size_t i = 0; i < top->row_count; i++) {
		const struct top_row *p = &top->rows[i];
		const char letter[] = { state_letter(p->state), '\0' };
		struct json *o = json_new_object();

		json_set_int(o, "pid", p->pid);
		json_set_int(o, "parent", p->parent);
		json_set_int(o, "uid", p->uid);
		json_set_string(o, "state", letter);
		json_set_int(o, "threads", p->threads);
		json_set_int(o, "memory_bytes", (int64_t)p->resident_bytes);
		json_set_int(o, "cpu_ms", (int64_t)p->cpu_ms);
		json_set_int(o, "age_ms", (int64_t)p->age_ms);
		json_set(o, "command", json_new_string_n(p->command, strlen(p->command)));
		json_add(list, o);
	}
	json_set(all, "processes", list);
	json_set_int(all, "left_out", top->left_out);
	return out_json(all, err);
}

static int run_top(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_FREE char *run_dir = NULL;
	struct container_record *c = NULL;
	struct msg_top top = { 0 };
	int r = select_environment(cli, o, &env, err);

	if (r == 0)
		r = select_container(&env, option_arg(o, 0), &c, err);
	if (r == 0)
		r = session_check_running(&cli->paths, &env, c, &run_dir, err);
	if (r == 0)
		r = machine_top(run_dir, &top, err);
	if (r == 0 && top.row_count)
		qsort(top.rows, top.row_count, sizeof(*top.rows), by_pid);
	if (r == 0)
		r = cli->json ? print_json(&top, err) : print_table(&top, err);
	msg_top_release(&top);
	return r;
}

const struct command cmd_top = {
	.name = "top",
	.operands = "NAME",
	.summary = "list the processes of a container",
	.text = "As the container numbers them; a parent of 0 is outside of it. The image needs no "
		"ps for this, and a paused container is shown as well.",
	.run = run_top,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
