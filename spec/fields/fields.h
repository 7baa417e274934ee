/* SPDX-License-Identifier: MIT */
/* The field tables: one row per key of the language. Decoder, printer, differ, hash, JSON Schema,
 * manual and completion all walk these rows and nothing else. */
#ifndef CTRZ_SPEC_FIELDS_FIELDS_H
#define CTRZ_SPEC_FIELDS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/model/environment.h"
#include "spec/spec.h"

struct decode;
struct node;
struct object_type;

enum field_kind {
	KIND_TEXT,     /* struct spec_text */
	KIND_FLAG,     /* struct spec_flag */
	KIND_NUMBER,   /* struct spec_number */
	KIND_SIZE,     /* struct spec_number, bytes */
	KIND_DURATION, /* struct spec_number, ms */
	KIND_MODE,     /* struct spec_number, file mode */
	KIND_CHOICE,   /* struct spec_choice */
	KIND_TEXTS,    /* struct spec_texts */
	KIND_COMMAND,  /* struct spec_command */
	KIND_PAIRS,    /* struct spec_pairs */
	KIND_OBJECT,   /* an object in place */
	KIND_LIST, /* list of objects: { struct spec_value at; struct X *items; size_t count; } */
	KIND_MAP,  /* the same, written as a map from names */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_LATER = 1 << 1,      /* has no effect in this version yet: E120 */
	FIELD_UNHASHED = 1 << 2,   /* takes no part in the hash */
	FIELD_COMPUTED = 1 << 3,   /* not a key people write; in the canonical form only */
	FIELD_PATH = 1 << 4,       /* host path: made absolute, from the folder of its file */
	FIELD_SET = 1 << 5,        /* order means nothing: sorted */
	FIELD_ALWAYS = 1 << 6,     /* an object that gets its defaults even if not given */
	FIELD_ZERO_WORD = 1 << 7,  /* "auto" is 0 */
	FIELD_MINUS_WORD = 1 << 8, /* "unlimited" is -1 */
	FIELD_RAW = 1 << 9,        /* ${} is not expanded here */
	FIELD_SECRET = 1 << 10,    /* never shown */
	FIELD_DEFAULTED = 1 << 11, /* defaults: may give it */
	FIELD_APPLIED = 1 << 12,   /* its effect is in other values: not in the canonical form */
	FIELD_OUTSIDE = 1 << 13,   /* its value stays on the host: no container sees it */
};

/* What of the host a field reaches; print/reach.c makes an item of it. */
enum field_reach {
	REACH_NONE,
	REACH_MOUNT,       /* of a mount: the source, with the mount's access */
	REACH_FILE,        /* a file of the host that is read */
	REACH_SECRET_FILE, /* the same, with a secret in it */
	REACH_SECRET_ENV,  /* a variable of the host that holds a secret */
	REACH_SOCKET,      /* a unix socket of the host, with its direction */
	REACH_PORT,        /* of a port: the address, with its number */
	REACH_EGRESS,      /* what of the outside is reached, */
	REACH_ALLOW,       /* and what of private addresses */
	REACH_CPUS,
	REACH_MEMORY,
	REACH_INCLUDE, /* where parts of the file come from */
};

/* What a text has to look like. */
enum text_check {
	CHECK_NONE,
	CHECK_NAME,      /* [a-z0-9][a-z0-9-]{0,62} */
	CHECK_VAR,       /* [A-Z_][A-Z0-9_]* */
	CHECK_LOOSE,     /* [A-Za-z0-9._-]+ */
	CHECK_IMAGE,     /* an image reference */
	CHECK_TARGET,    /* absolute path in the guest */
	CHECK_HOST_PATH, /* not empty */
	CHECK_SIGNAL,
	CHECK_SUBNET,
	CHECK_ADDRESS,
	CHECK_PLATFORM,
	CHECK_OWNER,
	CHECK_HOSTNAME,
	CHECK_CAPABILITY,
	CHECK_VERSION,
	CHECK_EGRESS,
	CHECK_HOST_PORT, /* host[:port] */
	CHECK_SCHEME,
	CHECK_URL_PATH,
	CHECK_SUBPATH,
	CHECK_ENV_NAME, /* [A-Za-z_][A-Za-z0-9_]* */
	CHECK_DIGEST,   /* sha256: or sha512: with its digits */
	CHECK_COMMIT,
	CHECK_SHA256, /* 64 hexadecimal digits */
	CHECK_GIT_URL,
	CHECK_ULIMIT,
	CHECK_SYSCTL,
	CHECK_COUNT
};

struct choice {
	const char *name; /* NULL ends the list */
	int value;
	bool is_later;
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	unsigned flags; /* enum field_flags */
	const struct object_type *object;
	const struct choice *choices;
	const char *fallback;      /* as it would be written; NULL = no default */
	int64_t min, max;          /* both 0 = only not negative */
	enum text_check check;     /* of the text or of each item; of values for pairs */
	enum text_check key_check; /* of keys of maps and pairs */
	enum spec_class change;
	enum field_reach reach;
	/* Bring the short forms of the whole value into the long one; NULL = only those of items */
	struct node *(*reshape)(struct decode *d, const struct field *f, struct node *value);
	const char *reshape_schema; /* JSON Schema of the short forms it takes */
	const char *doc;            /* one sentence, scdoc text */
};

/* A key of another tool, or one given up: what to write instead. */
struct alias {
	const char *name;    /* NULL ends the list */
	const char *instead; /* our key, "" if there is none */
	const char *help;    /* NULL = write INSTEAD */
};

struct object_type {
	const char *word; /* "container", for messages */
	size_t size;
	const struct field *fields;
	size_t field_count;
	const char *key;  /* lists of it are merged by this field */
	const char *key2; /* and by this one; may be NULL */
	/* Long form of a scalar or list; NULL if it cannot be one (said in @d) */
	struct node *(*expand)(struct decode *d, struct node *value);
	const char *short_schema; /* JSON Schema of the short form */
	const char *short_form;   /* how it is written, for messages and manual */
	const struct alias *aliases;
	const char *doc;
};

extern const struct object_type environment_type, container_type, process_type, mount_type,
	port_type, socket_type, network_type, volume_type, file_type, secret_type, var_type,
	defaults_type, resources_type, restart_type, stop_type, logging_type, health_type,
	dependency_type, watch_type, hooks_type, process_dependency_type;
extern const struct object_type config_type, lock_type;

/** field_find() - by name; NULL */
const struct field *field_find(const struct object_type *t, const char *name);
/** choice_name() - "" if the value is none of them */
const char *choice_name(const struct choice *choices, int value);

/* Generic access: @object is the struct a field's table describes. */
static inline void *field_at(const struct field *f, const void *object)
{
	return (char *)(uintptr_t)object + f->offset;
}

/* How lists and maps of objects are laid out. */
struct object_list {
	struct spec_value at;
	void *items;
	size_t count;
};

static inline struct spec_object *list_item(const struct object_list *l,
					    const struct object_type *t, size_t i)
{
	return (struct spec_object *)(void *)((char *)l->items + i * t->size);
}

/* The value of anything starts with this. */
static inline struct spec_value *field_value(const struct field *f, const void *object)
{
	return field_at(f, object);
}

#endif
