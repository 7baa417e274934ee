/* SPDX-License-Identifier: MIT */
/* Decoding of image configs, and what is computed from them. */
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/json/json.h"
#include "runtime/oci/manifest.h"
#include "runtime/oci/reference.h"

enum { CONFIG_MAX_STRINGS = 65536 };

void oci_config_release(struct oci_config *c)
{
	platform_release(&c->platform);
	strlist_release(&c->diff_ids);
	strlist_release(&c->entrypoint);
	strlist_release(&c->cmd);
	strlist_release(&c->env);
	free(c->user);
	free(c->working_dir);
	free(c->stop_signal);
	*c = OCI_CONFIG_INIT;
}

static int bad(struct error *err, const char *what, const char *why)
{
	return error_set(err, E_INTEGRITY, "%s: %s", what, why);
}

static char *text_or_null(const struct json *o, const char *key)
{
	const char *s = json_str(o, key, "");
	return *s ? xstrdup(s) : NULL;
}

static int decode_strings(const struct json *o, const char *key, const char *what,
			  struct strlist *ret, struct error *err)
{
	const struct json *v = json_member(o, key);
	if (!v || json_kind_of(v) == JSON_NULL_T)
		return 0;
	if (json_count(v) > CONFIG_MAX_STRINGS || !json_strings(o, key, ret))
		return error_set(err, E_INTEGRITY, "%s: \"%s\" is not a list of strings", what,
				 key);
	return 0;
}

static int decode_run(const struct json *o, const char *what, struct oci_config *c,
		      struct error *err)
{
	int rc = decode_strings(o, "Entrypoint", what, &c->entrypoint, err);
	if (rc == 0)
		rc = decode_strings(o, "Cmd", what, &c->cmd, err);
	if (rc == 0)
		rc = decode_strings(o, "Env", what, &c->env, err);
	if (rc < 0)
		return rc;
	c->user = text_or_null(o, "User");
	c->working_dir = text_or_null(o, "WorkingDir");
	c->stop_signal = text_or_null(o, "StopSignal");
	return 0;
}

static int decode_rootfs(const struct json *v, const char *what, struct oci_config *c,
			 struct error *err)
{
	const struct json *rootfs = json_member_object(v, "rootfs");
	if (!rootfs || !str_equal(json_str(rootfs, "type", "layers"), "layers"))
		return bad(err, what, "\"rootfs\" is missing or not made of layers");
	const struct json *ids = json_member(rootfs, "diff_ids");
	if (ids && json_kind_of(ids) != JSON_NULL_T && !json_member_array(rootfs, "diff_ids"))
		return bad(err, what, "\"diff_ids\" is not a list");
	size_t count = ids && json_kind_of(ids) == JSON_ARRAY_T ? json_count(ids) : 0;
	if (count > MANIFEST_MAX_LAYERS)
		return bad(err, what, "too many diff_ids");
	for (size_t i = 0; i < count; i++) {
		const char *id = json_string_value_of(json_item(ids, i));
		if (!id || !digest_is_valid(id))
			return bad(err, what, "a diff_id is not a digest");
		strlist_add(&c->diff_ids, id);
	}
	return 0;
}

int oci_config_decode(const char *text, size_t size, const char *what, struct oci_config *ret,
		      struct error *err)
{
	AUTO_JSON v = NULL;
	if (json_parse(text, size, MANIFEST_MAX_BYTES, what, &v, err) < 0) {
		err->code = E_INTEGRITY;
		return -E_INTEGRITY;
	}
	if (json_kind_of(v) != JSON_OBJECT_T)
		return bad(err, what, "not a JSON object");
	AUTO_OCI_CONFIG c = OCI_CONFIG_INIT;
	c.platform = (struct platform){ .os = xstrdup(json_str(v, "os", "")),
					.architecture = xstrdup(json_str(v, "architecture", "")),
					.variant = text_or_null(v, "variant") };
	c.created_unix_ms = time_parse_rfc3339(json_str(v, "created", ""));
	int rc = decode_rootfs(v, what, &c, err);
	const struct json *run = json_member_object(v, "config");
	if (rc == 0 && run)
		rc = decode_run(run, what, &c, err);
	if (rc < 0)
		return rc;
	*ret = c;
	c = OCI_CONFIG_INIT;
	return 0;
}

/* ChainID(L0) = DiffID(L0); ChainID(L0..n) = sha256(ChainID(L0..n-1) + " " + DiffID(Ln)) */
char *chain_id_add(const char *below, const char *diff_id)
{
	if (!below)
		return xstrdup(diff_id);
	AUTO_FREE char *pair = xasprintf("%s %s", below, diff_id);
	char hex[65];
	sha256_hex(pair, strlen(pair), hex);
	return xasprintf("sha256:%s", hex);
}

char *chain_id(const struct strlist *diff_ids)
{
	if (diff_ids->count == 0) {
		char hex[65];
		sha256_hex("", 0, hex);
		return xasprintf("sha256:%s", hex);
	}
	char *id = NULL;
	for (size_t i = 0; i < diff_ids->count; i++) {
		char *next = chain_id_add(id, diff_ids->items[i]);
		free(id);
		id = next;
	}
	return id;
}

/* "+01:30" in seconds. */
static bool parse_offset(const char *text, long *ret_seconds)
{
	static const char form[] = "+00:00";
	for (size_t i = 1; i < sizeof(form) - 1; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (form[i] == ':' ? text[i] != ':' : !digit)
			return false;
	}
	long hours = (text[1] - '0') * 10 + text[2] - '0';
	long minutes = (text[4] - '0') * 10 + text[5] - '0';
	*ret_seconds = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return true;
}

uint64_t time_parse_rfc3339(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return 0;
	uint64_t ms = 0, scale = 100;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			ms += scale * (uint64_t)(*rest - '0');
	long offset = 0;
	if (*rest == '+' || *rest == '-') {
		if (!parse_offset(rest, &offset))
			return 0;
	} else if (*rest != 'Z' && *rest != 'z') {
		return 0;
	}
	time_t seconds = timegm(&tm);
	if (seconds <= offset || tm.tm_year > 8000)
		return 0;
	return (uint64_t)(seconds - offset) * 1000 + ms;
}
