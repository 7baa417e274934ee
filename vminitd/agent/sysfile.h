/* SPDX-License-Identifier: MIT */
/* One-line files of proc, sysfs and cgroups. */
#ifndef CTRZ_VMINITD_AGENT_SYSFILE_H
#define CTRZ_VMINITD_AGENT_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** sysfile_read() - the first line, without its end, of the file the format names. Return: false if
 * it cannot be read */
bool sysfile_read(char *ret, size_t room, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** sysfile_number() - the number in a one-line file; 0 where there is none ("max" too) */
uint64_t sysfile_number(const char *path);
/** sysfile_field() - the number behind @key in a file of "key number" or "key: number" lines; 0
 * where there is none */
uint64_t sysfile_field(const char *path, const char *key);
/** sysfile_hex_field() - as sysfile_field() for a hexadecimal one */
uint64_t sysfile_hex_field(const char *path, const char *key);
/** sysfile_write() - @text to @path in one write */
int sysfile_write(const char *path, const char *text, struct error *err) MUST_CHECK;

#endif
