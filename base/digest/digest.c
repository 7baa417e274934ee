/* SPDX-License-Identifier: MIT */
/* SHA-256/512 by OpenSSL EVP. */
#include "base/digest/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/delay_load.h"
#include "base/log.h"
#include "base/text.h"

DELAY_LOAD(crypto, EVP_Digest)
DELAY_LOAD(crypto, EVP_DigestFinal_ex)
DELAY_LOAD(crypto, EVP_DigestInit_ex)
DELAY_LOAD(crypto, EVP_DigestUpdate)
DELAY_LOAD(crypto, EVP_MD_CTX_free)
DELAY_LOAD(crypto, EVP_MD_CTX_new)
DELAY_LOAD(crypto, EVP_sha256)
DELAY_LOAD(crypto, EVP_sha512)
DELAY_LOAD(crypto, HMAC)
DELAY_LOAD_LIBRARY(crypto)

struct digest {
	EVP_MD_CTX *ctx; /* owned */
};

/* OpenSSL fails here only when memory or the default provider is missing: nothing can go on then.
 */
static void must(int ok)
{
	if (ok != 1)
		abort();
}

/* Without it there is nothing to go on with either. */
static void need_crypto(void)
{
	AUTO_ERROR err = ERROR_INIT;
	if (delay_load(&library_of_crypto, CRYPTO_SONAME, &err) == 0)
		return;
	log_error("%s", error_message(&err));
	abort();
}

struct digest *digest_new(enum digest_algorithm algorithm)
{
	need_crypto();
	struct digest *d = xcalloc(1, sizeof(*d));
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx)
		abort();
	must(EVP_DigestInit_ex(d->ctx, algorithm == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256(),
			       NULL));
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_add(struct digest *d, const void *data, size_t size)
{
	must(EVP_DigestUpdate(d->ctx, data, size));
}

void digest_hex(struct digest *d, char *out)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	must(EVP_DigestFinal_ex(d->ctx, raw, &size));
	hex_encode(out, raw, size);
}

void sha256_hex(const void *data, size_t size, char out[65])
{
	unsigned char raw[32];
	need_crypto();
	must(EVP_Digest(data, size, raw, NULL, EVP_sha256(), NULL));
	hex_encode(out, raw, sizeof(raw));
}

void hmac_sha256_hex(const void *key, size_t key_size, const void *data, size_t size, char out[65])
{
	unsigned char raw[32];
	need_crypto();
	if (!HMAC(EVP_sha256(), key, (int)key_size, data, size, raw, NULL))
		abort();
	hex_encode(out, raw, sizeof(raw));
}

void random_bytes(void *out, size_t size)
{
	char *p = out;
	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		p += n;
		size -= (size_t)n;
	}
}
