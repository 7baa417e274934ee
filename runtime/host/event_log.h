/* SPDX-License-Identifier: MIT */
/* The events of an environment: a bounded file of JSON lines, written by applies and keepers, read
 * by `ctrz events`. */
#ifndef CTRZ_RUNTIME_HOST_EVENT_LOG_H
#define CTRZ_RUNTIME_HOST_EVENT_LOG_H

#include "base/error.h"
#include "base/json/json.h"

/* Beyond this the file becomes "<path>.1", which replaces the one before it. A longer line is left
 * out. */
enum { EVENT_LOG_MAX_BYTES = 256 * 1024, EVENT_LINE_MAX_BYTES = 16 * 1024 };

/**
 * event_new() - an event with its version and time
 * @type: "apply_start", "op_done", "machine", ...
 * @id: the object it is about; NULL = the environment
 *
 * Return: owned; more members may be set
 */
struct json *event_new(const char *type, const char *id);

/**
 * event_log_add() - append an event; takes it over
 * @path: of the log; NULL = nobody wants it
 *
 * Any number of processes may write at once. An event that cannot be written is lost with a debug
 * line: nothing depends on it.
 */
void event_log_add(const char *path, struct json *event);

#endif
