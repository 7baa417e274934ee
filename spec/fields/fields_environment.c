/* SPDX-License-Identifier: MIT */
/* Field tables of the top of the file and of what containers refer to. */
#include "spec/fields/fields_internal.h"
#include "spec/fields/short_forms.h"

static const struct field spec_var_fields[] = {
	{ .name = "default",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_var, fallback),
	  .flags = FIELD_UNHASHED | FIELD_RAW,
	  .doc = "Value where the host gives none. May refer to other variables." },
	{ .name = "env",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_var, env),
	  .flags = FIELD_UNHASHED | FIELD_RAW,
	  .check = CHECK_ENV_NAME,
	  .doc = "Variable of the host's environment that is read if it is set." },
	{ .name = "description",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_var, description),
	  .flags = FIELD_UNHASHED | FIELD_RAW,
	  .doc = "What it is for." },
};

const struct object_type var_type = { OBJECT(
	spec_var, "variable",
	"An input of the file. ${NAME} may use only what is declared here.") };

static const struct choice formats[] = { { "hex", SPEC_FORMAT_HEX, false },
					 { "base64", SPEC_FORMAT_BASE64, false },
					 { "alphanumeric", SPEC_FORMAT_ALPHANUMERIC, false },
					 { NULL, 0, false } };

static const struct field spec_generate_fields[] = {
	{ .name = "bytes",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_generate, bytes),
	  .fallback = "32",
	  .min = 8,
	  .max = 1024,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Random bytes in it." },
	{ .name = "format",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_generate, format),
	  .choices = formats,
	  .fallback = "hex",
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "How the bytes are written." },
};

static const struct object_type generate_type = { OBJECT(spec_generate, "generate",
							 "A value made once and kept.") };

static const struct field spec_secret_fields[] = {
	{ .name = "env",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_secret, env),
	  .reach = REACH_SECRET_ENV,
	  .check = CHECK_ENV_NAME,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Variable of the host's environment that holds it." },
	{ .name = "file",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_secret, file),
	  .reach = REACH_SECRET_FILE,
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "File on the host that holds it." },
	{ .name = "generate",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_secret, generate),
	  .object = &generate_type,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Make one at random, once, and keep it in the state." },
	{ .name = "prompt",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_secret, prompt),
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Ask on the terminal when it is first needed." },
	{ .name = "required",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_secret, required),
	  .fallback = "true",
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Whether a missing one is an error." },
	{ .name = "description",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_secret, description),
	  .flags = FIELD_UNHASHED,
	  .doc = "What it is for and where to get it." },
	{ .name = "resolved",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_secret, resolved),
	  .flags = FIELD_COMPUTED | FIELD_UNHASHED,
	  .doc = "What the file led to." },
};

const struct object_type secret_type = { OBJECT(spec_secret, "secret",
						"A value that never appears in plans, state or "
						"logs. One of env, file, generate, prompt.") };

static const struct choice egress_modes[] = { { "full", SPEC_EGRESS_FULL, false },
					      { "env", SPEC_EGRESS_ENV, false },
					      { "none", SPEC_EGRESS_NONE, false },
					      { "list", SPEC_EGRESS_LIST, true },
					      { NULL, 0, false } };

static const struct field spec_egress_rule_fields[] = {
	{ .name = "mode",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_egress_rule, mode),
	  .reach = REACH_EGRESS,
	  .choices = egress_modes,
	  .fallback = "full",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "full: public addresses; env: only containers of this file; none: only the "
		 "network "
		 "itself; list: what to names." },
	{ .name = "to",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct spec_egress_rule, to),
	  .flags = FIELD_LATER | FIELD_SET,
	  .check = CHECK_EGRESS,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "With mode list: host, host:port or CIDR." },
	{ .name = "allow",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct spec_egress_rule, allow),
	  .reach = REACH_ALLOW,
	  .flags = FIELD_LATER | FIELD_SET,
	  .check = CHECK_EGRESS,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Private, link-local and host addresses that may be reached besides." },
};

static const struct object_type egress_type = {
	OBJECT(spec_egress_rule, "egress", "What a network may reach outside."),
	.expand = expand_egress,
	.short_schema = "{\"anyOf\":[{\"enum\":[\"full\",\"env\",\"none\"]},"
			"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}",
	.short_form = "full, env, none, or a list of host[:port] and CIDR",
};

static const struct field spec_network_fields[] = {
	{ .name = "subnet",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_network, subnet),
	  .check = CHECK_SUBNET,
	  .change = SPEC_CLASS_RECREATE,
	  .doc = "Its addresses, as 10.77.0.0/24; chosen where not given." },
	{ .name = "egress",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_network, egress),
	  .flags = FIELD_ALWAYS,
	  .object = &egress_type,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "What it may reach outside." },
};

const struct object_type network_type = { OBJECT(
	spec_network, "network", "Containers of one network reach each other by name.") };

static const struct field spec_volume_fields[] = {
	{ .name = "size",
	  .kind = KIND_SIZE,
	  .offset = offsetof(struct spec_volume, size),
	  .fallback = "8GiB",
	  .min = 16 << 20,
	  .max = (int64_t)64 << 40,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Largest size; it takes only what is written. It can grow; shrinking loses the "
		 "data." },
	{ .name = "protect",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_volume, protect),
	  .fallback = "false",
	  .change = SPEC_CLASS_NONE,
	  .doc = "*ctrz down --volumes* refuses to remove it." },
};

const struct object_type volume_type = { OBJECT(spec_volume, "volume",
						"A disk of its own that *ctrz down* keeps.") };

static const struct field spec_file_fields[] = {
	{ .name = "source",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_file, source),
	  .reach = REACH_FILE,
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "File on the host. Its content takes part in the plan." },
	{ .name = "content",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_file, content),
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "The content itself." },
	{ .name = "digest",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_file, digest),
	  .flags = FIELD_COMPUTED,
	  .change = SPEC_CLASS_PROCESS,
	  .doc = "Digest of the content." },
	{ .name = "resolved",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_file, resolved),
	  .flags = FIELD_COMPUTED | FIELD_UNHASHED,
	  .doc = "What the source led to." },
};

const struct object_type file_type = { OBJECT(
	spec_file, "file", "A file put into containers. One of source and content.") };

static const struct choice pulls[] = { { "missing", SPEC_PULL_MISSING, false },
				       { "always", SPEC_PULL_ALWAYS, false },
				       { "never", SPEC_PULL_NEVER, false },
				       { NULL, 0, false } };

static const struct field spec_defaults_fields[] = {
	{ .name = "pull",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_defaults, pull),
	  .choices = pulls,
	  .doc = "As of a container." },
	{ .name = "platform",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_defaults, platform),
	  .flags = FIELD_LATER,
	  .check = CHECK_PLATFORM,
	  .doc = "As of a container." },
	{ .name = "restart",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_defaults, restart),
	  .object = &restart_type,
	  .doc = "As of a container." },
	{ .name = "stop",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_defaults, stop),
	  .object = &stop_type,
	  .doc = "As of a container." },
	{ .name = "resources",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_defaults, resources),
	  .object = &resources_type,
	  .doc = "As of a container, key by key." },
	{ .name = "logging",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct spec_defaults, logging),
	  .object = &logging_type,
	  .doc = "As of a container." },
};

const struct object_type defaults_type = { OBJECT(
	spec_defaults, "defaults", "What containers have that do not say otherwise.") };

static const struct field environment_fields[] = {
	{ .name = "name",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct environment, name),
	  .flags = FIELD_RAW,
	  .check = CHECK_NAME,
	  .doc = "Name of the environment; the folder's by default." },
	{ .name = "description",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct environment, description),
	  .flags = FIELD_OUTSIDE | FIELD_UNHASHED,
	  .doc = "What it is." },
	{ .name = "requires",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct environment, requires),
	  .flags = FIELD_UNHASHED | FIELD_APPLIED,
	  .check = CHECK_VERSION,
	  .doc = "Versions of ctrz that understand the file, as \">=0.1\"." },
	{ .name = "vars",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, vars),
	  .flags = FIELD_UNHASHED | FIELD_RAW | FIELD_APPLIED,
	  .object = &var_type,
	  .key_check = CHECK_VAR,
	  .doc = "Inputs of the file, for ${NAME}." },
	{ .name = "secrets",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, secrets),
	  .object = &secret_type,
	  .key_check = CHECK_LOOSE,
	  .change = SPEC_CLASS_NONE,
	  .doc = "Secrets containers may ask for." },
	{ .name = "include",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct environment, include),
	  .reach = REACH_INCLUDE,
	  .flags = FIELD_UNHASHED | FIELD_RAW | FIELD_APPLIED,
	  .change = SPEC_CLASS_NONE,
	  .doc = "Further files whose objects are added; redefining one is an error." },
	{ .name = "networks",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, networks),
	  .object = &network_type,
	  .key_check = CHECK_NAME,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Networks besides the implicit \"default\"." },
	{ .name = "volumes",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, volumes),
	  .object = &volume_type,
	  .key_check = CHECK_NAME,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Disks that outlive containers." },
	{ .name = "files",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, files),
	  .object = &file_type,
	  .key_check = CHECK_LOOSE,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Files containers may ask for." },
	{ .name = "defaults",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct environment, defaults),
	  .flags = FIELD_UNHASHED | FIELD_APPLIED,
	  .object = &defaults_type,
	  .doc = "What containers have that do not say otherwise." },
	{ .name = "containers",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct environment, containers),
	  .flags = FIELD_REQUIRED,
	  .object = &container_type,
	  .key_check = CHECK_NAME,
	  .change = SPEC_CLASS_RECREATE,
	  .doc = "The containers, each a virtual machine of its own." },
	{ .name = "message",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct environment, message),
	  .flags = FIELD_OUTSIDE | FIELD_UNHASHED,
	  .doc = "Shown when *ctrz up* is done." },
};

static const struct alias environment_aliases[] = {
	{ "version", "", "the language has no version; remove it, or write requires: \">=0.1\"" },
	{ "configs", "files", NULL },
	{ "environment", "", "variables belong to a container: containers.NAME.env" },
	{ "container", "containers", NULL },
	{ "extends", "", "use YAML anchors (&name, <<: *name) or include:" },
	{ "build", "", "ctrz builds no images yet; build and push it, then write image:" },
	{ "initializeCommand", "", "nothing of a file runs on the host; hooks: run in the guest" },
	{ "postCreateCommand", "", "write containers.NAME.hooks.create" },
	{ "postStartCommand", "", "write containers.NAME.hooks.start" },
	{ NULL, NULL, NULL }
};

const struct object_type environment_type = {
	OBJECT(environment, "environment", "The top of the file."),
	.aliases = environment_aliases,
};

const char *spec_egress_name(enum spec_egress v)
{
	return choice_name(egress_modes, (int)v);
}

const char *spec_pull_name(enum spec_pull v)
{
	return choice_name(pulls, (int)v);
}
