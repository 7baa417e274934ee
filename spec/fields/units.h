/* SPDX-License-Identifier: MIT */
/* Sizes, durations, modes and numbers as they are written in the file. */
#ifndef CTRZ_SPEC_FIELDS_UNITS_H
#define CTRZ_SPEC_FIELDS_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/** units_size() - "512MiB", "1.5GiB", "2GB", "100B". Return: NULL, or what is wrong */
const char *units_size(const char *text, int64_t *ret_bytes);
/** units_duration() - "1m30s", "500ms", "1.5s". Return: NULL, or what is wrong */
const char *units_duration(const char *text, int64_t *ret_ms);
/** units_mode() - "0644", "755". Return: NULL, or what is wrong */
const char *units_mode(const char *text, int64_t *ret_mode);
/** units_number() - decimal, with a sign; no leading zeros. Return: NULL, or what is wrong */
const char *units_number(const char *text, int64_t *ret_value);

/* The way back: the shortest exact form; owned. */
char *units_size_text(int64_t bytes);
char *units_duration_text(int64_t ms);

#endif
