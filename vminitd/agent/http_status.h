/* SPDX-License-Identifier: MIT */
/* The first line of an HTTP answer; pure. */
#ifndef CTRZ_VMINITD_AGENT_HTTP_STATUS_H
#define CTRZ_VMINITD_AGENT_HTTP_STATUS_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_STATUS_LINE_MAX = 512 };

enum http_status_result { HTTP_STATUS_MORE, HTTP_STATUS_BAD, HTTP_STATUS_OK };

/** http_status_parse() - "HTTP/1.1 200 OK" (RFC 9112, section 4) from the first bytes of an answer.
 * Return: whether it is one, is none, or more bytes are needed to tell */
enum http_status_result http_status_parse(const char *data, size_t size, unsigned *ret_status);

#endif
