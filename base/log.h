/* SPDX-License-Identifier: MIT */
/* Log lines to stderr. Libraries only log_debug(); the CLI, apply and the long-lived helpers
 * report. */
#ifndef CTRZ_BASE_LOG_H
#define CTRZ_BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_set_level() - the highest level that is printed; default LOG_LEVEL_INFO */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/** log_set_fd() - where lines go; default 2. @fd is lent */
void log_set_fd(int fd);
/** log_set_prefix() - put before each line, e.g. "keeper web"; copied, at most 63 bytes */
void log_set_prefix(const char *prefix);
/** log_line() - one line, control characters escaped; errno is preserved */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
