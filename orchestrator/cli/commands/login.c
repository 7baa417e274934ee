/* SPDX-License-Identifier: MIT */
/* ctrz login, logout: credentials of registries. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/ask_secret.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/settings.h"

static int open_store(struct cli *cli, struct host_config *config, struct image_store **ret,
		      struct error *err)
{
	int r = settings_load(cli, config, err);
	return r < 0 ? r : settings_images(cli, config, NULL, NULL, NULL, ret, err);
}

static int run_login(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_HOST_CONFIG config = { 0 };
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	AUTO_BUFFER secret = BUFFER_INIT;
	const char *user = option_value(o, "user");
	if (!user)
		return cli_usage(cli, err, "login needs --user NAME");
	int r = open_store(cli, &config, &store, err);
	if (r == 0)
		r = ask_secret("Password", &secret, err);
	if (r == 0)
		r = image_store_login(store, option_arg(o, 0), user, buffer_str(&secret), err);
	if (secret.data)
		explicit_bzero(secret.data, secret.size);
	return r;
}

static const struct option_def login_options[] = {
	{ .name = "user", .letter = 'u', .value = "NAME", .help = "the user's name" },
	{ .name = "password-stdin",
	  .help = "read the password from standard input (always done; accepted for habit)" },
	OPTIONS_END,
};

const struct command cmd_login = {
	.name = "login",
	.operands = "REGISTRY",
	.summary = "keep credentials for a registry",
	.text = "The password or token is read from standard input, without showing it on a "
		"terminal. The "
		"credentials are tried first and kept only if the registry takes them.",
	.example = "ctrz login -u alice registry.example <token.txt",
	.options = login_options,
	.run = run_login,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
};

static int run_logout(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_HOST_CONFIG config = { 0 };
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	int r = open_store(cli, &config, &store, err);
	return r < 0 ? r : image_store_logout(store, option_arg(o, 0), err);
}

const struct command cmd_logout = {
	.name = "logout",
	.operands = "REGISTRY",
	.summary = "forget the credentials of a registry",
	.run = run_logout,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
};
