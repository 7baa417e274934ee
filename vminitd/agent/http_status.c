/* SPDX-License-Identifier: MIT */
/* Reading the status line of an HTTP answer. */
#include "vminitd/agent/http_status.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

enum http_status_result http_status_parse(const char *data, size_t size, unsigned *ret_status)
{
	/* A digit stands for any digit. */
	static const char form[] = "HTTP/0.0 000";
	unsigned status = 0;

	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (i >= size)
			return HTTP_STATUS_MORE;
		if (is_digit(form[i]) ? !is_digit(data[i]) : data[i] != form[i])
			return HTTP_STATUS_BAD;
		if (i >= sizeof(form) - 4)
			status = status * 10 + (unsigned)(data[i] - '0');
	}
	if (size == sizeof(form) - 1)
		return HTTP_STATUS_MORE;
	if (!strchr(" \r\n", data[sizeof(form) - 1]) || !data[sizeof(form) - 1])
		return HTTP_STATUS_BAD;
	*ret_status = status;
	return HTTP_STATUS_OK;
}
