/* SPDX-License-Identifier: MIT */
/* WWW-Authenticate headers (RFC 9110, 11.6.1) as registries send them. Pure. */
#ifndef CTRZ_RUNTIME_OCI_CHALLENGE_H
#define CTRZ_RUNTIME_OCI_CHALLENGE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

enum challenge_scheme { CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char *realm;           /* owned; never NULL, may be "" for Basic */
	char *service, *scope; /* owned; may be NULL */
	char *error;           /* owned; "insufficient_scope" and such; may be NULL */
};

#define CHALLENGE_INIT ((struct challenge){ 0 })
#define AUTO_CHALLENGE CLEANUP(challenge_release) struct challenge

void challenge_release(struct challenge *c);
/**
 * challenge_choose() - the best of what a server offers: Bearer with a realm before Basic
 * @headers:	each may hold several challenges, also of schemes unknown here
 *
 * Return: 0, or -E_DENIED if none can be met
 */
int challenge_choose(const struct strlist *headers, struct challenge *ret,
		     struct error *err) MUST_CHECK;

/**
 * realm_check() - whether a token service may be asked, and with credentials
 * @realm:		the URL the registry names
 * @registry_host:	as in references: "docker.io", "localhost:5000"
 * @registry_plain:	the registry itself is spoken to in the clear
 * @allowed_host:	config.yaml's auth_host, or NULL
 * @ret_trusted:	credentials may be sent there
 *
 * Return: 0, or -E_DENIED where not even an anonymous request goes
 */
int realm_check(const char *realm, const char *registry_host, bool registry_plain,
		const char *allowed_host, bool *ret_trusted, struct error *err) MUST_CHECK;

#endif
