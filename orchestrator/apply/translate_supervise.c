/* SPDX-License-Identifier: MIT */
/* What a keeper looks after in a container: processes, probes, hooks, policies. */
#include <signal.h>

#include "base/alloc.h"
#include "orchestrator/apply/contents.h"
#include "orchestrator/apply/translate.h"

static uint32_t milliseconds(const struct spec_number *n, uint32_t fallback)
{
	return n->at.is_set && n->value >= 0 ? (uint32_t)n->value : fallback;
}

static enum process_restart restart_of(const struct spec_restart *r)
{
	if (!r->policy.at.is_set)
		return PROCESS_RESTART_NO;
	switch ((enum spec_restart_policy)r->policy.value) {
	case SPEC_RESTART_ON_FAILURE:
		return PROCESS_RESTART_ON_FAILURE;
	case SPEC_RESTART_ALWAYS:
		return PROCESS_RESTART_ALWAYS;
	case SPEC_RESTART_NO:
		break;
	}
	return PROCESS_RESTART_NO;
}

/* What runs in the container beside its processes, with its variables: a hook, a probe. */
static void spawn_command(const struct translate_input *in, const struct spec_command *command,
			  const struct spec_text *user, const struct spec_text *dir,
			  const struct spec_pairs *env, struct msg_spawn *ret)
{
	struct process_words words = { .command = command, .user = user, .dir = dir, .env = env };

	translate_process(in->container, in->image, &words, ret);
	for (size_t i = 0; in->contents && i < in->contents->secret_env.count; i++)
		strlist_add(&ret->env, in->contents->secret_env.items[i]);
}

/* A server may listen on the loopback address only, or on that of a network only. */
static void add_addresses(const struct translate_input *in, struct strlist *out)
{
	const struct container_record *self =
		env_record_container(in->record, in->container->o.name);

	strlist_add(out, "127.0.0.1");
	for (size_t i = 0; self && i < self->address_count && out->count < PROBE_ADDRESSES_MAX;
	     i++) {
		char text[ADDRESS_TEXT_SIZE];

		address_text(self->addresses[i].address, text);
		strlist_add(out, text);
	}
}

static void add_health(const struct translate_input *in, const struct spec_health *h,
		       const struct spec_process *p, struct process_health *ret)
{
	struct msg_probe *probe = &ret->probe;

	if (!h->o.at.is_set)
		return;
	ret->interval_ms = milliseconds(&h->interval, 10000);
	ret->start_interval_ms = milliseconds(&h->start_interval, 1000);
	ret->start_period_ms = milliseconds(&h->start_period, 30000);
	ret->retries = h->retries.at.is_set ? (uint32_t)h->retries.value : 3;
	ret->restarts = h->on_unhealthy.value == SPEC_UNHEALTHY_RESTART;
	probe->timeout_ms = milliseconds(&h->timeout, 5000);
	if (h->exec.at.is_set) {
		probe->kind = PROBE_EXEC;
		spawn_command(in, &h->exec, p ? &p->user : NULL, p ? &p->working_dir : NULL,
			      p ? &p->env : NULL, &ret->exec);
		return;
	}
	add_addresses(in, &probe->addresses);
	if (h->tcp.o.at.is_set) {
		probe->kind = PROBE_TCP;
		probe->port = (uint32_t)h->tcp.port.value;
		return;
	}
	probe->kind = PROBE_HTTP;
	probe->port = (uint32_t)h->http.port.value;
	probe->path = xstrdup(h->http.path.text ? h->http.path.text : "/");
	probe->status = (uint32_t)h->http.status.value;
	for (size_t i = 0; i < h->http.headers.count; i++)
		strlist_printf(&probe->headers, "%s: %s", h->http.headers.items[i].key,
			       h->http.headers.items[i].value.text
				       ? h->http.headers.items[i].value.text
				       : "");
}

static void add_needs(const struct spec_dependencies *deps, struct process_config *c)
{
	static const enum process_condition conditions[] = {
		[SPEC_CONDITION_STARTED] = WHEN_STARTED,
		[SPEC_CONDITION_HEALTHY] = WHEN_HEALTHY,
		[SPEC_CONDITION_DONE] = WHEN_DONE,
		[SPEC_CONDITION_EXITED] = WHEN_EXITED,
	};

	c->needs = xcalloc(deps->count + 1, sizeof(*c->needs));
	for (size_t i = 0; i < deps->count; i++)
		c->needs[c->need_count++] = (struct process_need){
			.name = xstrdup(deps->items[i].o.name),
			.condition = conditions[deps->items[i].condition.value],
		};
}

static void add_process(const struct translate_input *in, const struct spec_process *p,
			struct msg_supervise *s)
{
	struct process_config *c = &s->processes[s->process_count++];
	int sig = p->stop.signal.text ? spec_signal_number(p->stop.signal.text) : 0;

	*c = (struct process_config){
		.name = xstrdup(p->o.name),
		.is_task = p->kind.value == SPEC_PROCESS_TASK,
		.restart = restart_of(&p->restart),
		.restart_max = (uint32_t)p->restart.max.value,
		.backoff_ms = milliseconds(&p->restart.backoff, 1000),
		.stop_signal = sig ? (uint32_t)sig : SIGTERM,
		.stop_grace_ms = milliseconds(&p->stop.grace, (uint32_t)STOP_GRACE_DEFAULT_MS),
	};
	add_needs(&p->depends_on, c);
	spawn_command(in, &p->command, &p->user, &p->working_dir, &p->env, &c->spawn);
	add_health(in, &p->health, p, &c->health);
}

static void add_hook(const struct translate_input *in, const struct spec_hook *h,
		     struct process_hook *ret)
{
	if (!h->o.at.is_set)
		return;
	ret->timeout_ms = milliseconds(&h->timeout, 600000);
	spawn_command(in, &h->run, &h->user, &h->working_dir, NULL, &ret->spawn);
}

static void add_watches(const struct translate_input *in, const struct spec_watches *watches,
			const struct spec_process *p, struct msg_supervise *s)
{
	static const enum watch_action actions[] = {
		[SPEC_WATCH_RESTART] = WATCH_RESTART,
		[SPEC_WATCH_SIGNAL] = WATCH_SIGNAL,
		[SPEC_WATCH_EXEC] = WATCH_EXEC,
	};
	s->watches =
		xreallocarray(s->watches, s->watch_count + watches->count + 1, sizeof(*s->watches));
	for (size_t i = 0; i < watches->count; i++) {
		const struct spec_watch *from = &watches->items[i];
		struct process_watch *to = &s->watches[s->watch_count++];
		int sig = from->signal.text ? spec_signal_number(from->signal.text) : 0;

		*to = (struct process_watch){
			.process = xstrdup(p ? p->o.name : ""),
			.path = xstrdup(from->path.text),
			.action = actions[from->action.value],
			.signal = sig ? (uint32_t)sig : SIGTERM,
		};
		for (size_t n = 0; n < from->ignore.count; n++)
			strlist_add(&to->ignore, from->ignore.items[n].text);
		if (to->action == WATCH_EXEC)
			spawn_command(in, &from->exec, p ? &p->user : NULL,
				      p ? &p->working_dir : NULL, p ? &p->env : NULL, &to->exec);
	}
}

static int check_watches(const struct spec_container *c, struct error *err)
{
	size_t count = c->watch.count;

	for (size_t i = 0; i < c->processes.count; i++)
		count += c->processes.items[i].watch.count;
	if (count > WATCHES_MAX)
		return error_at(err, c->o.at.pos, E_INVALID,
				"container '%s' watches %zu paths; %d are the most", c->o.name,
				count, WATCHES_MAX);
	return 0;
}

static int add_all(const struct translate_input *in, struct msg_supervise *s, struct error *err)
{
	const struct spec_container *c = in->container;

	if (c->processes.count > PROCESSES_CONFIGURED_MAX)
		return error_at(err, c->processes.at.pos, E_INVALID,
				"%zu processes are more than the %d a container may have",
				c->processes.count, PROCESSES_CONFIGURED_MAX);
	if (check_watches(c, err) < 0)
		return -(int)err->code;
	s->processes = xcalloc(c->processes.count + 1, sizeof(*s->processes));
	for (size_t i = 0; i < c->processes.count; i++)
		add_process(in, &c->processes.items[i], s);
	add_watches(in, &c->watch, NULL, s);
	for (size_t i = 0; i < c->processes.count; i++)
		add_watches(in, &c->processes.items[i].watch, &c->processes.items[i], s);
	add_health(in, &c->health, NULL, &s->health);
	add_hook(in, &c->hooks.create, &s->create);
	add_hook(in, &c->hooks.start, &s->start);
	add_hook(in, &c->hooks.stop, &s->stop);
	return 0;
}

int translate_supervise(const struct translate_input *in, struct machine_config *ret,
			struct error *err)
{
	const struct spec_container *c = in->container;
	struct msg_supervise *s = &ret->supervise;
	uint64_t grace_ms;
	int sig;

	if (translate_stop(c, in->image->config.stop_signal, &sig, &grace_ms, err) < 0)
		return -(int)err->code;
	*s = (struct msg_supervise){
		.restart = restart_of(&c->restart),
		.restart_max = (uint32_t)c->restart.max.value,
		.backoff_ms =
			c->restart.backoff.at.pos.line ? (uint32_t)c->restart.backoff.value : 0,
		.stop_signal = (uint32_t)sig,
		.stop_grace_ms = milliseconds(&c->stop.grace, (uint32_t)STOP_GRACE_DEFAULT_MS),
		.log_max_bytes = ret->log_max_bytes,
		.log_files = ret->log_files,
	};
	ret->restart = (enum restart_policy)s->restart;
	return add_all(in, s, err);
}
