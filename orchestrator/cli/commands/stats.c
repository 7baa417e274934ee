/* SPDX-License-Identifier: MIT */
/* ctrz stats: what containers use, and what their machines cost this host. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"
#include "runtime/machine/machine_cost.h"

/* Between two looks: a share of processor time is one of some time. */
enum { INTERVAL_MS = 1000 };

/* One look at one container. */
struct sample {
	bool is_there; /* it runs and has answered */
	uint64_t at_ms;
	struct msg_stats guest;
	struct machine_cost host;
	char *failure; /* owned; why there are no figures */
};

struct samples {
	struct sample *items; /* one for each view */
	size_t count;
};

static void samples_release(struct samples *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i].failure);
	free(s->items);
	*s = (struct samples){ 0 };
}

#define AUTO_SAMPLES CLEANUP(samples_release) struct samples

static void take(const struct cli *cli, const struct container_view *v, struct sample *ret)
{
	AUTO_FREE char *run_dir = env_store_run_dir(&cli->paths, v->c->run_id);
	AUTO_ERROR err = ERROR_INIT;
	int r;

	if (v->status.phase != MACHINE_RUNNING) {
		ret->failure = container_status_text(v);
		return;
	}
	r = machine_stats(run_dir, &ret->guest, &err);
	if (r == 0)
		r = machine_cost_read(v->status.keeper_pid, &ret->host, &err);
	ret->at_ms = clock_ms();
	ret->is_there = r == 0;
	if (r < 0)
		ret->failure = xstrdup(error_message(&err));
}

static void take_all(const struct cli *cli, const struct container_views *views,
		     struct samples *ret)
{
	samples_release(ret);
	ret->items = xcalloc(views->count + 1, sizeof(*ret->items));
	ret->count = views->count;
	for (size_t i = 0; i < views->count; i++)
		take(cli, &views->items[i], &ret->items[i]);
}

/* The look before at the same container; NULL if there was none. */
static const struct sample *before_of(const struct samples *before, size_t i,
				      const struct sample *now)
{
	const struct sample *s = i < before->count ? &before->items[i] : NULL;

	return s && s->is_there && now->is_there && now->at_ms > s->at_ms ? s : NULL;
}

/* In percent of one processor; -1 = not known. */
static double percent(uint64_t from_us, uint64_t to_us, uint64_t from_ms, uint64_t to_ms)
{
	return to_us < from_us ? -1 : (double)(to_us - from_us) / (double)(to_ms - from_ms) / 10.0;
}

static double guest_percent(const struct sample *before, const struct sample *now)
{
	return before ? percent(before->guest.cpu_usage_us, now->guest.cpu_usage_us, before->at_ms,
				now->at_ms)
		      : -1;
}

static double host_percent(const struct sample *before, const struct sample *now)
{
	return before ? percent(before->host.cpu_ms * 1000, now->host.cpu_ms * 1000, before->at_ms,
				now->at_ms)
		      : -1;
}

static uint64_t limit_of(const struct msg_stats *s)
{
	bool has_limit = s->memory_limit && s->memory_limit < s->machine_memory_total;

	return has_limit ? s->memory_limit : s->machine_memory_total;
}

static uint64_t disk_used(const struct msg_stats *s)
{
	return s->disk_total > s->disk_free ? s->disk_total - s->disk_free : 0;
}

static void cell_percent(struct table *t, double v)
{
	if (v < 0)
		table_cell(t, NULL);
	else
		table_cellf(t, "%.1f%%", v);
}

static void cell_pair(struct table *t, uint64_t a, uint64_t b)
{
	AUTO_FREE char *left = text_size(a);
	AUTO_FREE char *right = text_size(b);

	table_cellf(t, "%s / %s", left, right);
}

static void add_row(struct table *t, const struct container_view *v, const struct sample *before,
		    const struct sample *s)
{
	enum { FIGURES = 8 };
	const struct msg_stats *g = &s->guest;

	table_cell(t, v->c->name);
	if (!s->is_there) {
		table_cell(t, s->failure);
		for (int i = 1; i < FIGURES; i++)
			table_cell(t, NULL);
		return;
	}
	AUTO_FREE char *disk = text_size(disk_used(g));
	AUTO_FREE char *memory = text_size(s->host.memory_bytes);
	cell_percent(t, guest_percent(before, s));
	cell_pair(t, g->memory_current, limit_of(g));
	table_cellf(t, "%llu", (unsigned long long)g->pids);
	cell_pair(t, g->net_received_bytes, g->net_sent_bytes);
	cell_pair(t, g->io_read_bytes, g->io_write_bytes);
	table_cell(t, disk);
	table_cellf(t, "%s%s", memory, s->host.hidden ? "+" : "");
	cell_percent(t, host_percent(before, s));
}

static void add_table(const struct container_views *views, const struct samples *before,
		      const struct samples *now, struct buffer *out)
{
	static const char *const headings[] = { "NAME",      "CPU",          "MEMORY / LIMIT",
						"PIDS",      "NET IN / OUT", "DISK READ / WRITTEN",
						"DISK USED", "HOST MEMORY",  "HOST CPU",
						NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, headings);
	for (size_t i = 0; i < now->count; i++)
		add_row(&t, &views->items[i], before_of(before, i, &now->items[i]), &now->items[i]);
	table_print(&t, out);
}

static void set_percent(struct json *o, double v)
{
	json_set(o, "cpu_percent", v < 0 ? json_new_null() : json_new_real(v));
}

static void set_bytes(struct json *o, const char *key, uint64_t v)
{
	json_set_int(o, key, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

static void add_guest_json(const struct msg_stats *g, struct json *o)
{
	set_bytes(o, "cpu_us", g->cpu_usage_us);
	set_bytes(o, "cpu_user_us", g->cpu_user_us);
	set_bytes(o, "cpu_system_us", g->cpu_system_us);
	set_bytes(o, "memory_bytes", g->memory_current);
	set_bytes(o, "memory_peak_bytes", g->memory_peak);
	set_bytes(o, "memory_limit_bytes", limit_of(g));
	set_bytes(o, "oom_kills", g->oom_kills);
	set_bytes(o, "pids", g->pids);
	set_bytes(o, "network_received_bytes", g->net_received_bytes);
	set_bytes(o, "network_sent_bytes", g->net_sent_bytes);
	set_bytes(o, "disk_read_bytes", g->io_read_bytes);
	set_bytes(o, "disk_written_bytes", g->io_write_bytes);
	set_bytes(o, "disk_used_bytes", disk_used(g));
	set_bytes(o, "disk_total_bytes", g->disk_total);
	set_bytes(o, "machine_memory_bytes", g->machine_memory_total);
	set_bytes(o, "machine_available_bytes", g->machine_memory_available);
	set_bytes(o, "agent_memory_bytes", g->agent_resident_bytes);
}

static struct json *row_json(const struct container_view *v, const struct sample *before,
			     const struct sample *s)
{
	struct json *o = json_new_object();
	struct json *host;

	json_set_string(o, "name", v->c->name);
	json_set_string(o, "failure", s->failure);
	if (!s->is_there)
		return o;
	host = json_new_object();
	set_percent(o, guest_percent(before, s));
	add_guest_json(&s->guest, o);
	set_percent(host, host_percent(before, s));
	set_bytes(host, "cpu_ms", s->host.cpu_ms);
	set_bytes(host, "memory_bytes", s->host.memory_bytes);
	set_bytes(host, "processes", s->host.processes);
	set_bytes(host, "hidden_processes", s->host.hidden);
	json_set(o, "host", host);
	return o;
}

static void add_json(const struct container_views *views, const struct samples *before,
		     const struct samples *now, struct buffer *out)
{
	AUTO_JSON all = json_new_array();

	for (size_t i = 0; i < now->count; i++)
		json_add(all, row_json(&views->items[i], before_of(before, i, &now->items[i]),
				       &now->items[i]));
	json_print(all, 2, false, out);
	buffer_add_char(out, '\n');
}

/* Those that run, unless they are named. */
static int find_views(struct cli *cli, const struct options *o, const struct env_record *env,
		      struct container_views *ret, struct error *err)
{
	size_t kept = 0;
	int r = container_views_add(cli, env, &o->args, ret, err);

	for (size_t i = 0; r == 0 && !o->args.count && i < ret->count; i++) {
		if (ret->items[i].status.phase != MACHINE_RUNNING)
			machine_status_release(&ret->items[i].status);
		else
			ret->items[kept++] = ret->items[i];
	}
	if (r == 0 && !o->args.count)
		ret->count = kept;
	return r;
}

static int show(struct cli *cli, const struct container_views *views, const struct samples *before,
		const struct samples *now, bool redraws, struct error *err)
{
	AUTO_BUFFER out = BUFFER_INIT;

	if (redraws)
		buffer_add_str(&out, "\033[H\033[2J");
	if (cli->json)
		add_json(views, before, now, &out);
	else
		add_table(views, before, now, &out);
	return out_write(&out, err);
}

static int run_stats(struct cli *cli, const struct options *o, struct error *err)
{
	bool streams = !cli->json && isatty(1) && !option_given(o, "no-stream");
	AUTO_ENV_RECORD env = { 0 };
	AUTO_SAMPLES before = { 0 };
	int r = select_environment(cli, o, &env, err);

	for (int round = 0; r == 0; round++) {
		AUTO_VIEWS views = { 0 };
		AUTO_SAMPLES now = { 0 };
		struct samples swapped;

		r = find_views(cli, o, &env, &views, err);
		if (r < 0)
			break;
		take_all(cli, &views, &now);
		if (streams || round > 0 || !views.count)
			r = show(cli, &views, &before, &now, streams, err);
		if (r < 0 || (!streams && (round > 0 || !views.count)))
			break;
		swapped = before;
		before = now;
		now = swapped;
		(void)poll(NULL, 0, INTERVAL_MS);
	}
	return r;
}

static const struct option_def stats_options[] = {
	{ .name = "no-stream", .help = "print the figures once, also on a terminal" },
	OPTIONS_END,
};

const struct command cmd_stats = {
	.name = "stats",
	.operands = "[NAME...]",
	.summary = "show what containers use and what they cost",
	.text = "A terminal shows it anew every second; elsewhere, and with --no-stream or --json, "
		"it "
		"is printed once, after a second in which the shares of processor time are "
		"measured. They are in percent of one processor. Memory, processes, network and "
		"disk are the container's, as its own kernel counts them.\n\n"
		"The last two columns are what the host pays: the memory (PSS) and processor time "
		"of QEMU with its helpers. A + behind the memory says that some of it may not be "
		"looked at.",
	.example = "ctrz stats\nctrz stats --json web",
	.options = stats_options,
	.run = run_stats,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
