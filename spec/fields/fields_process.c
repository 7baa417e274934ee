/* SPDX-License-Identifier: MIT */
/* Field tables of what runs: processes, probes, restarts, hooks. */
#include "spec/fields/fields_internal.h"
#include "spec/fields/short_forms.h"

static const struct choice conditions[] = { { "started", SPEC_CONDITION_STARTED, false },
					    { "healthy", SPEC_CONDITION_HEALTHY, false },
					    { "done", SPEC_CONDITION_DONE, false },
					    { "exited", SPEC_CONDITION_EXITED, false },
					    { NULL, 0, false } };

static const struct field spec_dependency_fields[] = {
	{ .name = "condition",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_dependency, condition),
	  .choices = conditions,
	  .fallback = "started",
	  .change = SPEC_CLASS_NONE,
	  .doc = "started, healthy (its probe passed), done (a task that exited 0) or exited." },
	{ .name = "restart",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_dependency, restart),
	  .fallback = "false",
	  .change = SPEC_CLASS_NONE,
	  .flags = FIELD_LATER,
	  .doc = "Restart this one when the other was restarted." },
};

const struct object_type dependency_type = {
	OBJECT(spec_dependency, "dependency", "What has to be there first."),
	.expand = expand_dependency,
	.short_schema = "{\"enum\":[\"started\",\"healthy\",\"done\",\"exited\"]}",
	.short_form = "a condition",
};

static const struct choice schemes[] = { { "http", 0, false },
					 { "https", 1, true },
					 { NULL, 0, false } };

static const struct field spec_health_http_fields[] = {
	{ .name = "port",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_health_http, port),
	  .flags = FIELD_REQUIRED,
	  .min = 1,
	  .max = 65535,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Port of the container." },
	{ .name = "path",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_health_http, path),
	  .fallback = "/",
	  .check = CHECK_URL_PATH,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Path to ask for." },
	{ .name = "scheme",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_health_http, scheme),
	  .choices = schemes,
	  .fallback = "http",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "http. For https write an exec with a client of the image." },
	{ .name = "headers",
	  .kind = KIND_PAIRS,
	  .offset = offsetof(struct spec_health_http, headers),
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Headers to send." },
	{ .name = "status",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_health_http, status),
	  .min = 0,
	  .max = 599,
	  .fallback = "0",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Status that means healthy; any of 200 to 399 by default." },
};

static const struct object_type health_http_type = {
	OBJECT(spec_health_http, "http probe", "Healthy if the answer is a good one."),
	.expand = expand_port_number,
	.short_schema = "{\"type\":\"integer\"}",
	.short_form = "a port",
};

static const struct field spec_health_tcp_fields[] = {
	{ .name = "port",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_health_tcp, port),
	  .flags = FIELD_REQUIRED,
	  .min = 1,
	  .max = 65535,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Port of the container." },
};

static const struct object_type health_tcp_type = {
	OBJECT(spec_health_tcp, "tcp probe", "Healthy if the port accepts connections."),
	.expand = expand_port_number,
	.short_schema = "{\"type\":\"integer\"}",
	.short_form = "a port",
};

static const struct choice unhealthy_actions[] = { { "none", SPEC_UNHEALTHY_NONE, false },
						   { "restart", SPEC_UNHEALTHY_RESTART, false },
						   { NULL, 0, false } };

static const struct field spec_health_fields[] = {
	{ .name = "exec",
	  .kind = KIND_COMMAND,
	  .offset = offsetof(struct spec_health, exec),
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Command in the guest; exit code 0 is healthy." },
	{ .name = "http",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_health, http),
	  .object = &health_http_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "HTTP request." },
	{ .name = "tcp",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_health, tcp),
	  .object = &health_tcp_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "TCP connection." },
	{ .name = "log_line",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_health, log_line),
	  .flags = FIELD_LATER,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Regular expression a line of the log matches." },
	{ .name = "notify",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_health, notify),
	  .flags = FIELD_LATER,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "The process reports READY=1 to $NOTIFY_SOCKET." },
	{ .name = "interval",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_health, interval),
	  .fallback = "10s",
	  .min = 100,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Time between probes." },
	{ .name = "timeout",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_health, timeout),
	  .fallback = "5s",
	  .min = 100,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "A probe that takes longer has failed." },
	{ .name = "retries",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_health, retries),
	  .fallback = "3",
	  .min = 1,
	  .max = 1000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Failures in a row that make it unhealthy." },
	{ .name = "start_period",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_health, start_period),
	  .fallback = "30s",
	  .min = 0,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Failures do not count so long after the start." },
	{ .name = "start_interval",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_health, start_interval),
	  .fallback = "1s",
	  .min = 100,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Time between probes during the start period." },
	{ .name = "on_unhealthy",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_health, on_unhealthy),
	  .choices = unhealthy_actions,
	  .fallback = "none",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "none, or restart what is unhealthy." },
};

const struct object_type health_type = {
	OBJECT(spec_health, "health", "A probe. One of exec, http, tcp, log_line, notify."),
	.expand = expand_health,
	.short_schema = "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":[\"string\","
			"\"number\",\"boolean\"]}}",
	.short_form = "a command",
};

static const struct choice policies[] = { { "no", SPEC_RESTART_NO, false },
					  { "on-failure", SPEC_RESTART_ON_FAILURE, false },
					  { "always", SPEC_RESTART_ALWAYS, false },
					  { NULL, 0, false } };

static const struct field spec_restart_fields[] = {
	{ .name = "policy",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_restart, policy),
	  .choices = policies,
	  .fallback = "no",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "no, on-failure or always." },
	{ .name = "max",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_restart, max),
	  .fallback = "0",
	  .min = 0,
	  .max = 1000000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Restarts after which it stays down; 0 is no limit." },
	{ .name = "backoff",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_restart, backoff),
	  .fallback = "1s",
	  .min = 100,
	  .max = 3600000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Pause before the first restart; doubled each time." },
};

const struct object_type restart_type = {
	OBJECT(spec_restart, "restart", "What happens when it exits."),
	.expand = expand_restart,
	.short_schema = "{\"enum\":[\"no\",\"on-failure\",\"always\"]}",
	.short_form = "no, on-failure or always",
};

static const struct field spec_stop_fields[] = {
	{ .name = "signal",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_stop, signal),
	  .fallback = "SIGTERM",
	  .check = CHECK_SIGNAL,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Signal that asks it to end." },
	{ .name = "grace",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_stop, grace),
	  .fallback = "10s",
	  .min = 0,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Time it gets before it is killed." },
};

const struct object_type stop_type = {
	OBJECT(spec_stop, "stop", "How it is ended."),
};

static const struct choice watch_actions[] = { { "restart", SPEC_WATCH_RESTART, false },
					       { "signal", SPEC_WATCH_SIGNAL, false },
					       { "exec", SPEC_WATCH_EXEC, false },
					       { NULL, 0, false } };

static const struct field spec_watch_fields[] = {
	{ .name = "path",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_watch, path),
	  .flags = FIELD_REQUIRED | FIELD_PATH,
	  .reach = REACH_FILE,
	  .check = CHECK_HOST_PATH,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "File or folder on the host." },
	{ .name = "action",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_watch, action),
	  .choices = watch_actions,
	  .fallback = "restart",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "restart, signal or exec." },
	{ .name = "signal",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_watch, signal),
	  .check = CHECK_SIGNAL,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "With action signal." },
	{ .name = "exec",
	  .kind = KIND_COMMAND,
	  .offset = offsetof(struct spec_watch, exec),
	  .change = SPEC_CLASS_LIVE,
	  .doc = "With action exec: command in the guest." },
	{ .name = "ignore",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct spec_watch, ignore),
	  .change = SPEC_CLASS_LIVE,
	  .flags = FIELD_SET,
	  .doc = "Patterns of names that are not looked at." },
};

const struct object_type watch_type = {
	OBJECT(spec_watch, "watch", "What happens when files change."),
	.expand = expand_watch,
	.key = "path",
	.short_schema = "{\"type\":\"string\"}",
	.short_form = "a path",
};

static const struct choice process_kinds[] = { { "service", SPEC_PROCESS_SERVICE, false },
					       { "task", SPEC_PROCESS_TASK, false },
					       { NULL, 0, false } };

static const struct field spec_process_fields[] = {
	{ .name = "command",
	  .kind = KIND_COMMAND,
	  .offset = offsetof(struct spec_process, command),
	  .flags = FIELD_REQUIRED,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "What runs: a list is executed, a text goes to /bin/sh -c." },
	{ .name = "kind",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_process, kind),
	  .choices = process_kinds,
	  .fallback = "service",
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "service, or task (must exit 0)." },
	{ .name = "env",
	  .kind = KIND_PAIRS,
	  .offset = offsetof(struct spec_process, env),
	  .key_check = CHECK_ENV_NAME,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Variables besides those of the container." },
	{ .name = "user",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_process, user),
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "User, or user:group, by name or number." },
	{ .name = "working_dir",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_process, working_dir),
	  .check = CHECK_TARGET,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Folder it starts in." },
	{ .name = "depends_on",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct spec_process, depends_on),
	  .object = &process_dependency_type,
	  .key_check = CHECK_NAME,
	  .reshape = reshape_names,
	  .reshape_schema = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Processes of the container that come first." },
	{ .name = "health",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_process, health),
	  .object = &health_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Its probe." },
	{ .name = "restart",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_process, restart),
	  .flags = FIELD_ALWAYS,
	  .object = &restart_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "What happens when it exits." },
	{ .name = "stop",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_process, stop),
	  .flags = FIELD_ALWAYS,
	  .object = &stop_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "How it is ended." },
	{ .name = "watch",
	  .kind = KIND_LIST,
	  .offset = offsetof(struct spec_process, watch),
	  .object = &watch_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Files that restart it." },
};

const struct object_type process_dependency_type = {
	OBJECT(spec_dependency, "dependency", "What has to be there first."),
	.expand = expand_dependency,
	.short_schema = "{\"enum\":[\"started\",\"healthy\",\"done\",\"exited\"]}",
	.short_form = "a condition",
};

static const struct alias process_aliases[] = {
	{ "cmd", "command", NULL },        { "environment", "env", NULL },
	{ "healthcheck", "health", NULL }, { "readiness_probe", "health", NULL },
	{ "cwd", "working_dir", NULL },    { NULL, NULL, NULL }
};

const struct object_type process_type = {
	OBJECT(spec_process, "process", "One of several processes of a container."),
	.expand = expand_process,
	.aliases = process_aliases,
	.short_schema = "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":[\"string\","
			"\"number\",\"boolean\"]}}",
	.short_form = "a command",
};

static const struct field spec_hook_fields[] = {
	{ .name = "run",
	  .kind = KIND_COMMAND,
	  .offset = offsetof(struct spec_hook, run),
	  .flags = FIELD_REQUIRED,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "What runs, in the guest." },
	{ .name = "timeout",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct spec_hook, timeout),
	  .fallback = "10m",
	  .min = 1000,
	  .max = 86400000,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "It has failed if it takes longer." },
	{ .name = "user",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_hook, user),
	  .change = SPEC_CLASS_LIVE,
	  .doc = "The container's by default." },
	{ .name = "working_dir",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_hook, working_dir),
	  .check = CHECK_TARGET,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "The container's by default." },
};

static const struct object_type hook_type = {
	OBJECT(spec_hook, "hook",
	       "A command of the life cycle; if one fails, what follows does not run."),
	.expand = expand_hook,
	.short_schema = "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":[\"string\","
			"\"number\",\"boolean\"]}}",
	.short_form = "a command",
};

static const struct field spec_hooks_fields[] = {
	{ .name = "create",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_hooks, create),
	  .object = &hook_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Once for each new root file system." },
	{ .name = "start",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_hooks, start),
	  .object = &hook_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Each time before the processes start." },
	{ .name = "stop",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_hooks, stop),
	  .object = &hook_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Each time before they are ended." },
};

static const struct alias hooks_aliases[] = { { "initialize", "",
						"nothing of a file runs on the host" },
					      { "postCreate", "create", NULL },
					      { "postStart", "start", NULL },
					      { "preStop", "stop", NULL },
					      { NULL, NULL, NULL } };

const struct object_type hooks_type = {
	OBJECT(spec_hooks, "hooks", "Commands in the guest at points of its life."),
	.aliases = hooks_aliases,
};

const char *spec_condition_name(enum spec_condition v)
{
	return choice_name(conditions, (int)v);
}

const char *spec_restart_name(enum spec_restart_policy v)
{
	return choice_name(policies, (int)v);
}
