/* SPDX-License-Identifier: MIT */
/* SHA-256/512 by OpenSSL EVP. The only folder that knows OpenSSL. */
#ifndef CTRZ_BASE_DIGEST_DIGEST_H
#define CTRZ_BASE_DIGEST_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct digest;

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_HEX_MAX = 128, DIGEST_TEXT_MAX = 8 + 128 };

struct digest *digest_new(enum digest_algorithm algorithm);
void digest_free(struct digest *d);
DEFINE_CLEANUP(struct digest *, digest_free)
void digest_add(struct digest *d, const void *data, size_t size);
/** digest_hex() - finish; @out gets lower-case hex and a NUL, DIGEST_HEX_MAX + 1 bytes of room */
void digest_hex(struct digest *d, char *out);
/** sha256_hex() - of one piece; @out has 65 bytes of room */
void sha256_hex(const void *data, size_t size, char out[65]);
/** hmac_sha256_hex() - @out has 65 bytes of room */
void hmac_sha256_hex(const void *key, size_t key_size, const void *data, size_t size, char out[65]);
/** random_bytes() - from getrandom(2); never fails once the system is up */
void random_bytes(void *out, size_t size);

#endif
