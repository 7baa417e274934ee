/* SPDX-License-Identifier: MIT */
/* Field tables of the ways into a container: mounts and published ports. */
#include "spec/fields/fields_internal.h"
#include "spec/fields/short_forms.h"

static const struct choice mount_types[] = {
	{ "dir", SPEC_MOUNT_DIR, false },       { "file", SPEC_MOUNT_FILE, false },
	{ "volume", SPEC_MOUNT_VOLUME, false }, { "tmpfs", SPEC_MOUNT_TMPFS, false },
	{ "image", SPEC_MOUNT_IMAGE, true },    { NULL, 0, false }
};

static const struct choice accesses[] = { { "ro", SPEC_ACCESS_RO, false },
					  { "rw", SPEC_ACCESS_RW, false },
					  { NULL, 0, false } };

static const struct choice gits[] = { { "ro", SPEC_GIT_RO, false },
				      { "hide", SPEC_GIT_HIDE, false },
				      { "rw", SPEC_GIT_RW, false },
				      { NULL, 0, false } };

static const struct choice creates[] = { { "none", SPEC_CREATE_NONE, false },
					 { "dir", SPEC_CREATE_DIR, false },
					 { "file", SPEC_CREATE_FILE, false },
					 { NULL, 0, false } };

static const struct choice caches[] = { { "auto", SPEC_CACHE_AUTO, false },
					{ "none", SPEC_CACHE_NONE, false },
					{ "strict", SPEC_CACHE_STRICT, false },
					{ "loose", SPEC_CACHE_LOOSE, false },
					{ NULL, 0, false } };

static const struct field spec_mount_fields[] = {
	{ .name = "type",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_mount, type),
	  .choices = mount_types,
	  .fallback = "dir",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "dir, file, volume, tmpfs or image." },
	{ .name = "source",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_mount, source),
	  .reach = REACH_MOUNT,
	  .check = CHECK_HOST_PATH,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Path on the host, from the folder of the file; or the name of a volume; or an "
		 "image." },
	{ .name = "target",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_mount, target),
	  .flags = FIELD_REQUIRED,
	  .check = CHECK_TARGET,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Absolute path in the container." },
	{ .name = "access",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_mount, access),
	  .choices = accesses,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "ro or rw. Read-only is enforced on the host." },
	{ .name = "owner",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_mount, owner),
	  .flags = FIELD_LATER,
	  .check = CHECK_OWNER,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Who appears to own the files inside: a name, uid, uid:gid, or same." },
	{ .name = "git",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_mount, git),
	  .flags = FIELD_LATER,
	  .choices = gits,
	  .fallback = "ro",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "What becomes of .git in a share: ro, hide or rw." },
	{ .name = "hide",
	  .kind = KIND_TEXTS,
	  .offset = offsetof(struct spec_mount, hide),
	  .flags = FIELD_LATER | FIELD_SET,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Patterns of names that are not seen inside." },
	{ .name = "create",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_mount, create),
	  .choices = creates,
	  .fallback = "none",
	  .change = SPEC_CLASS_NONE,
	  .doc = "Make a missing source: dir or file." },
	{ .name = "cache",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_mount, cache),
	  .flags = FIELD_LATER,
	  .choices = caches,
	  .fallback = "auto",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "auto, none, strict or loose." },
	{ .name = "notify",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_mount, notify),
	  .flags = FIELD_LATER,
	  .fallback = "false",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Report changes made on the host to programs inside." },
	{ .name = "subpath",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_mount, subpath),
	  .check = CHECK_SUBPATH,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "A folder inside the volume, made if it is missing." },
	{ .name = "size",
	  .kind = KIND_SIZE,
	  .offset = offsetof(struct spec_mount, size),
	  .min = 4096,
	  .max = (int64_t)1 << 44,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Of a tmpfs." },
	{ .name = "optional",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_mount, optional),
	  .fallback = "false",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Leave it out if the source is missing." },
	{ .name = "noexec",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_mount, noexec),
	  .fallback = "false",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Nothing on it may be executed." },
	{ .name = "nosuid",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_mount, nosuid),
	  .fallback = "true",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Set-user-id bits mean nothing." },
	{ .name = "nodev",
	  .kind = KIND_FLAG,
	  .offset = offsetof(struct spec_mount, nodev),
	  .fallback = "true",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Device files mean nothing." },
};

static const struct alias mount_aliases[] = {
	{ "readonly", "access", "write access: ro" },
	{ "read_only", "access", "write access: ro" },
	{ "mode", "access", NULL },
	{ "destination", "target", NULL },
	{ "src", "source", NULL },
	{ "dst", "target", NULL },
	{ "bind", "", "options of a mount are its own keys: create, access" },
	{ "consistency", "cache", NULL },
	{ NULL, NULL, NULL }
};

const struct object_type mount_type = {
	OBJECT(spec_mount, "mount", "Something of the host or of ctrz that appears inside."),
	.key = "target",
	.expand = expand_mount,
	.aliases = mount_aliases,
	.short_schema = "{\"type\":\"string\",\"pattern\":\":\"}",
	.short_form = "SRC:DST, SRC:DST:ro or SRC:DST:rw",
};

static const struct choice directions[] = { { "in", SPEC_DIRECTION_IN, false },
					    { "out", SPEC_DIRECTION_OUT, false },
					    { NULL, 0, false } };

static const struct field spec_socket_fields[] = {
	{ .name = "host",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_socket, host),
	  .flags = FIELD_REQUIRED,
	  .reach = REACH_SOCKET,
	  .check = CHECK_HOST_PATH,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Path on the host, from the folder of the file; or ssh-agent, the one of whoever "
		 "brings it up." },
	{ .name = "target",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_socket, target),
	  .flags = FIELD_REQUIRED,
	  .check = CHECK_TARGET,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Absolute path in the container." },
	{ .name = "direction",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_socket, direction),
	  .choices = directions,
	  .fallback = "in",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "in: a service of the host is reached from inside; out: the other way." },
	{ .name = "mode",
	  .kind = KIND_MODE,
	  .offset = offsetof(struct spec_socket, mode),
	  .fallback = "0666",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Of the socket inside, with in." },
};

static const struct alias socket_aliases[] = { { "source", "host", NULL },
					       { "container", "target", NULL },
					       { "guest", "target", NULL },
					       { "path", "host", NULL },
					       { NULL, NULL, NULL } };

const struct object_type socket_type = {
	OBJECT(spec_socket, "socket",
	       "A unix socket that leads to the host, or from there inside."),
	.key = "target",
	.expand = expand_socket,
	.aliases = socket_aliases,
	.short_schema = "{\"type\":\"string\"}",
	.short_form = "HOST:TARGET, or ssh-agent",
};

static const struct choice protocols[] = { { "tcp", SPEC_PROTOCOL_TCP, false },
					   { "udp", SPEC_PROTOCOL_UDP, false },
					   { NULL, 0, false } };

static const struct field spec_port_fields[] = {
	{ .name = "host",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_port, host),
	  .flags = FIELD_OUTSIDE | FIELD_ZERO_WORD,
	  .fallback = "auto",
	  .min = 1,
	  .max = 65535,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Port on the host; auto is a free one." },
	{ .name = "container",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_port, container),
	  .flags = FIELD_OUTSIDE | FIELD_REQUIRED,
	  .min = 1,
	  .max = 65535,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Port of the container." },
	{ .name = "protocol",
	  .kind = KIND_CHOICE,
	  .offset = offsetof(struct spec_port, protocol),
	  .flags = FIELD_OUTSIDE,
	  .choices = protocols,
	  .fallback = "tcp",
	  .change = SPEC_CLASS_LIVE,
	  .doc = "tcp or udp." },
	{ .name = "address",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_port, address),
	  .flags = FIELD_OUTSIDE,
	  .reach = REACH_PORT,
	  .fallback = "127.0.0.1",
	  .check = CHECK_ADDRESS,
	  .change = SPEC_CLASS_LIVE,
	  .doc = "Address of the host it is published on." },
	{ .name = "name",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_port, label),
	  .flags = FIELD_LATER,
	  .check = CHECK_LOOSE,
	  .change = SPEC_CLASS_NONE,
	  .doc = "What it is, for ctrz ps and links." },
	{ .name = "open",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct spec_port, open),
	  .flags = FIELD_LATER,
	  .check = CHECK_SCHEME,
	  .change = SPEC_CLASS_NONE,
	  .doc = "http or https: shown as a link." },
};

static const struct alias port_aliases[] = { { "target", "container", NULL },
					     { "published", "host", NULL },
					     { "host_ip", "address", NULL },
					     { "ip", "address", NULL },
					     { "mode", "",
					       "ports are always published on this host" },
					     { "app_protocol", "open", NULL },
					     { NULL, NULL, NULL } };

const struct object_type port_type = {
	OBJECT(spec_port, "port", "A port of the container that the host forwards to."),
	.key = "container",
	.key2 = "protocol",
	.expand = expand_port,
	.aliases = port_aliases,
	.short_schema = "{\"type\":[\"string\",\"integer\"]}",
	.short_form = "[IP:][HOST:]CONTAINER[/udp], ranges as 8000-8010:8000-8010",
};

const char *spec_mount_type_name(enum spec_mount_type v)
{
	return choice_name(mount_types, (int)v);
}

const char *spec_access_name(enum spec_access v)
{
	return choice_name(accesses, (int)v);
}

const char *spec_protocol_name(enum spec_protocol v)
{
	return choice_name(protocols, (int)v);
}
