/* SPDX-License-Identifier: MIT */
/* What is used of libcurl. */
#include "runtime/oci/curl_library.h"

#include "base/delay_load.h"

DELAY_LOAD(curl, curl_easy_cleanup)
DELAY_LOAD(curl, curl_easy_escape)
DELAY_LOAD(curl, curl_easy_getinfo)
DELAY_LOAD(curl, curl_easy_init)
DELAY_LOAD(curl, curl_easy_reset)
DELAY_LOAD(curl, curl_easy_setopt)
DELAY_LOAD(curl, curl_easy_strerror)
DELAY_LOAD(curl, curl_free)
DELAY_LOAD(curl, curl_global_cleanup)
DELAY_LOAD(curl, curl_global_init)
DELAY_LOAD(curl, curl_multi_add_handle)
DELAY_LOAD(curl, curl_multi_cleanup)
DELAY_LOAD(curl, curl_multi_info_read)
DELAY_LOAD(curl, curl_multi_init)
DELAY_LOAD(curl, curl_multi_perform)
DELAY_LOAD(curl, curl_multi_poll)
DELAY_LOAD(curl, curl_multi_remove_handle)
DELAY_LOAD(curl, curl_multi_setopt)
DELAY_LOAD(curl, curl_multi_strerror)
DELAY_LOAD(curl, curl_multi_wakeup)
DELAY_LOAD(curl, curl_slist_append)
DELAY_LOAD(curl, curl_slist_free_all)
DELAY_LOAD(curl, curl_url)
DELAY_LOAD(curl, curl_url_cleanup)
DELAY_LOAD(curl, curl_url_get)
DELAY_LOAD(curl, curl_url_set)
DELAY_LOAD_LIBRARY(curl)

int curl_library_load(struct error *err)
{
	return delay_load(&library_of_curl, CURL_SONAME, err);
}
