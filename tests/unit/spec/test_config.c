/* SPDX-License-Identifier: MIT */
/* config.yaml: the same strict parser. */
#include <stdio.h>

#include "../test.h"
#include "base/file.h"
#include "base/text.h"
#include "spec/config.h"

static char dir[] = "/tmp/ctrz-config-XXXXXX";

static int load(const char *text, struct config **ret, struct buffer *said, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	if (!dir[16] || str_ends(dir, "XXXXXX"))
		assert_non_null(mkdtemp(dir));
	AUTO_FREE char *path = path_join(dir, "config.yaml");
	assert_ok(*err, file_write_atomic(path, text, strlen(text), 0600, err));
	int r = config_load(path, ret, &diags, err);
	diagnostics_print(&diags, false, said);
	assert_ok(*err, file_remove(path, err));
	(void)rmdir(dir);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return r;
}

TEST(everything_there_is)
{
	AUTO_CONFIG c = NULL;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER said = BUFFER_INIT;
	assert_ok(err,
		  load("registries:\n"
		       "  docker.io:\n"
		       "    mirrors: [\"127.0.0.1:5000\", { host: m.example, insecure: true }]\n"
		       "  \"registry.example:5000\": { ca: ./ca.pem, cert: /c.pem, key: /k.pem, "
		       "insecure: false, auth_host: auth.example }\n"
		       "resources: { memory: 256MiB }\n"
		       "sources: { allow: [\"git+https://git.example/\"], file: true }\n"
		       "images: { downloads: 3, stall: 5s }\n"
		       "kernel: own\n",
		       &c, &said, &err));
	const struct config_registry *r = config_registry(c, "docker.io");
	assert_non_null(r);
	assert_int_equal(r->mirrors.count, 2);
	assert_string_equal(r->mirrors.items[0].host.text, "127.0.0.1:5000");
	assert_false(r->mirrors.items[0].insecure.value);
	assert_true(r->mirrors.items[1].insecure.value);
	r = config_registry(c, "registry.example:5000");
	assert_non_null(r);
	assert_true(str_starts(r->ca.text, "/") && str_ends(r->ca.text, "/ca.pem"));
	assert_string_equal(r->auth_host.text, "auth.example");
	assert_int_equal(c->resources.memory.value, 256 << 20);
	assert_true(c->sources.file.value);
	assert_int_equal(c->images.downloads.value, 3);
	assert_int_equal(c->images.stall.value, 5000);
	assert_string_equal(c->kernel.text, "own");
	assert_null(config_registry(c, "quay.io"));
}

TEST(nothing_is_fine)
{
	AUTO_CONFIG c = NULL;
	AUTO_CONFIG missing = NULL;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER said = BUFFER_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	assert_ok(err, load("# nothing\n", &c, &said, &err));
	assert_int_equal(c->registries.count, 0);
	assert_int_equal(c->images.downloads.value, 6);
	assert_int_equal(c->images.stall.value, 30000);
	assert_ok(err, config_load("/nowhere/config.yaml", &missing, &diags, &err));
}

TEST(mistakes_are_said)
{
	struct config *c = NULL;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER said = BUFFER_INIT;
	assert_error(err, E_INVALID,
		     load("registries: { docker.io: { mirror: [x], cert: /c } }\nregistry: {}\n",
			  &c, &said, &err));
	assert_non_null(strstr(buffer_str(&said), "did you mean \"mirrors\"?"));
	assert_non_null(strstr(buffer_str(&said), "needs both cert and key"));
	assert_non_null(strstr(buffer_str(&said), "config.yaml:2:1: error[E104]"));
	AUTO_ERROR other = ERROR_INIT;
	assert_error(other, E_INVALID, load("images: { downloads: 0 }\n", &c, &said, &other));
	assert_non_null(strstr(buffer_str(&said), "downloads"));
}
