/* SPDX-License-Identifier: MIT */
/* Field tables of the user's config.yaml. */
#include "spec/config.h"
#include "spec/fields/fields_internal.h"
#include "spec/fields/short_forms.h"

static const struct field config_mirror_fields[] = {
	{ .name = "host",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_mirror, host),
	  .flags = FIELD_REQUIRED,
	  .check = CHECK_HOST_PORT,
	  .doc = "Host of the mirror, as 127.0.0.1:5000." },
	{ .name = "insecure",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct config_mirror, insecure),
	  .fallback = "false",
	  .doc = "Plain HTTP, or TLS without checking who it is." },
};

static const struct object_type mirror_type = {
	OBJECT(config_mirror, "mirror", "A server that is asked before the registry itself."),
	.expand = expand_mirror,
	.short_schema = "{\"type\":\"string\"}",
	.short_form = "a host",
};

static const struct field config_registry_fields[] = {
	{ .name = "mirrors",
	  .kind = KIND_LIST,
	  .offset = offsetof(struct config_registry, mirrors),
	  .object = &mirror_type,
	  .doc = "Servers asked first, in this order." },
	{ .name = "ca",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_registry, ca),
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .doc = "PEM file with the authority that signed its certificate." },
	{ .name = "cert",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_registry, cert),
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .doc = "PEM file with the client certificate." },
	{ .name = "key",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_registry, key),
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .doc = "PEM file with the key of the client certificate." },
	{ .name = "insecure",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct config_registry, insecure),
	  .fallback = "false",
	  .doc = "Plain HTTP is allowed, and TLS without checking who it is. Plain HTTP to "
		 "loopback needs no permission." },
	{ .name = "auth_host",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_registry, auth_host),
	  .check = CHECK_HOST_PORT,
	  .doc = "Token service on another host that may get the credentials." },
};

static const struct object_type registry_type = {
	OBJECT(config_registry, "registry", "How one registry is reached."),
};

static const struct field config_sources_fields[] = {
	{ .name = "allow",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct config_sources, allow),
	  .flags = FIELD_SET,
	  .doc = "Repositories, or beginnings of their URLs, that specs may come from and include "
		 "files from without a question, as git+https://git.example/team/. What such a "
		 "spec reaches of the host is asked about all the same." },
	{ .name = "file",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct config_sources, file),
	  .fallback = "false",
	  .doc = "git+file:// is allowed." },
	{ .name = "ca",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config_sources, ca),
	  .flags = FIELD_PATH,
	  .check = CHECK_HOST_PATH,
	  .doc = "PEM file with the authorities that git servers may be signed by, instead of the "
		 "system's." },
};

static const struct object_type sources_type = {
	OBJECT(config_sources, "sources", "Where environments may come from."),
};

static const struct field config_images_fields[] = {
	{ .name = "downloads",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct config_images, downloads),
	  .fallback = "6",
	  .min = 1,
	  .max = 32,
	  .doc = "Layers fetched or sent at a time." },
	{ .name = "stall",
	  .kind = KIND_DURATION,
	  .offset = offsetof(struct config_images, stall),
	  .fallback = "30s",
	  .min = 1000,
	  .max = 600 * 1000,
	  .doc = "Silence of a registry that ends a transfer; a credential helper gets twice as "
		 "long." },
};

static const struct object_type images_type = {
	OBJECT(config_images, "images", "How images are fetched and sent."),
};

static const struct field config_fields[] = {
	{ .name = "registries",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct config, registries),
	  .object = &registry_type,
	  .key_check = CHECK_HOST_PORT,
	  .doc = "Registries by host name, as docker.io or registry.example:5000." },
	{ .name = "resources",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct config, resources),
	  .object = &resources_type,
	  .doc = "For containers that say nothing." },
	{ .name = "sources",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct config, sources),
	  .flags = FIELD_ALWAYS,
	  .object = &sources_type,
	  .doc = "Where environments may come from." },
	{ .name = "images",
	  .kind = KIND_OBJECT,
	  .offset = offsetof(struct config, images),
	  .flags = FIELD_ALWAYS,
	  .object = &images_type,
	  .doc = "How images are fetched and sent." },
	{ .name = "kernel",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct config, kernel),
	  .doc = "Guest kernel used where nothing else is said; see ctrz kernel ls." },
};

const struct object_type config_type = {
	OBJECT(config, "config", "Settings of the user."),
};
