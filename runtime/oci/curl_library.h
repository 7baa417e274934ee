/* SPDX-License-Identifier: MIT */
/* libcurl, loaded when a registry is first spoken to. */
#ifndef CTRZ_RUNTIME_OCI_CURL_LIBRARY_H
#define CTRZ_RUNTIME_OCI_CURL_LIBRARY_H

#include "base/error.h"

/** curl_library_load() - before any call of libcurl. Return: 0 or -E_UNAVAILABLE */
int curl_library_load(struct error *err) MUST_CHECK;

#endif
