/* SPDX-License-Identifier: MIT */
/* What config.yaml says about registries; plain data, filled in by the caller. */
#ifndef CTRZ_RUNTIME_OCI_REGISTRY_CONFIG_H
#define CTRZ_RUNTIME_OCI_REGISTRY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct registry_mirror {
	char *host;    /* "127.0.0.1:5000" */
	bool insecure; /* plain HTTP, or TLS without checks on the CA */
};

/* One registry of config.yaml. */
struct registry_config {
	char *host;                      /* "docker.io" */
	struct registry_mirror *mirrors; /* tried in order before the registry itself */
	size_t mirror_count;
	char *ca_file;              /* PEM; may be NULL */
	char *cert_file, *key_file; /* client certificate; may be NULL */
	bool insecure;              /* plain HTTP allowed */
	char *auth_host; /* token service on another host that may get the credentials; may be NULL
			  */
};

#endif
