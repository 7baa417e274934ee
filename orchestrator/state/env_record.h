/* SPDX-License-Identifier: MIT */
/* What ctrz remembers of an environment: the content of state.json. */
#ifndef CTRZ_ORCHESTRATOR_STATE_ENV_RECORD_H
#define CTRZ_ORCHESTRATOR_STATE_ENV_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json/json.h"
#include "base/text.h"
#include "orchestrator/state/spec_source.h"
#include "runtime/network/address.h"

enum { ENV_ID_SIZE = 13, RUN_ID_SIZE = 9 };

/* A network of an environment. Its subnet is kept as long as the environment is known. */
struct network_record {
	char *name;
	char run_id[RUN_ID_SIZE]; /* names its folder below the run folder */
	struct subnet subnet;     /* prefix 0 = none chosen yet */
	struct json *spec;        /* as applied; NULL = not applied */
};

/* A volume's disk. It outlives everything but `ctrz down --volumes`. */
struct volume_record {
	char *name;
	uint64_t size_bytes; /* as applied */
	bool protect;        /* nothing removes it */
	uint64_t made_unix_ms;
};

/* A container's place on a network, kept over restarts of everything. */
struct address_record {
	char *network;
	struct in_addr address;
	unsigned interface; /* it is eth<interface> in the container */
};

/* One published port as it is bound. */
struct port_record {
	struct in_addr host_address;
	uint16_t host_port, guest_port;
	bool udp;
};

/* How far a container got. */
enum container_stage {
	STAGE_NONE,   /* only its addresses are kept */
	STAGE_MAKING, /* an apply was interrupted between making and done */
	STAGE_MADE,   /* its disk exists, it ran */
	STAGE_COUNT
};

struct container_record {
	char *name;
	char run_id[RUN_ID_SIZE];
	enum container_stage stage;
	bool stopped;       /* by `ctrz stop` */
	char *image;        /* full reference; NULL before it is made */
	char *image_digest; /* of the manifest */
	char *image_disk;   /* absolute path */
	char *kernel;       /* its name in the kernel store */
	char *stop_signal;  /* what the image says, NULL = nothing */
	char *spec; /* as applied, JSON; NULL before it is made, and as long as the record is
		       whole: env_store_take_specs() */
	uint64_t memory_bytes; /* of its machine as applied, 0 = not known */
	struct json *contents; /* marks of the files and secrets it was given (contents.h); may be
				  NULL */
	struct address_record *addresses;
	size_t address_count;
	struct port_record *ports;
	size_t port_count;
	uint64_t made_unix_ms;
};

struct env_record {
	char id[ENV_ID_SIZE];
	char *name;
	char *file;                /* real path of its spec */
	struct spec_source source; /* where that came from */
	uint64_t device, inode;
	uint64_t serial; /* counts writes */
	uint64_t run;    /* counts applies */
	bool is_whole;   /* every record agrees with spec.json: the last apply did all of it. What
			    containers are made of is then written there alone */
	/* Of the files as they were read or written; not part of them. */
	uint64_t state_inode, state_time_ns, state_bytes;
	uint64_t log_bytes; /* of state.log, that are part of the record */
	uint64_t created_unix_ms, changed_unix_ms;
	char *changed_by; /* "ctrz up (root, pid 12)" */
	struct network_record *networks;
	size_t network_count;
	struct volume_record *volumes;
	size_t volume_count;
	struct container_record *containers;
	size_t container_count;
};

#define AUTO_ENV_RECORD CLEANUP(env_record_release) struct env_record

void env_record_release(struct env_record *r);

struct container_record *env_record_container(const struct env_record *r, const char *name);
/** env_record_add_container() - find it, or add an empty one with a fresh run id; lent until the
 * next add */
struct container_record *env_record_add_container(struct env_record *r, const char *name);
/** env_record_append_container() - add one that is not there yet, without a run id; lent likewise
 */
struct container_record *env_record_append_container(struct env_record *r, const char *name);
/** env_record_reset_container() - forget all but name, run id and addresses */
void env_record_reset_container(struct container_record *c);
void env_record_drop_container(struct env_record *r, const char *name);
/** container_record_spec() - parsed, owned; NULL if there is none, or none that can be read */
struct json *container_record_spec(const struct container_record *c);
/** container_record_clear() - forget all but the name */
void container_record_clear(struct container_record *c);
struct network_record *env_record_network(const struct env_record *r, const char *name);
/** env_record_add_network() - find it, or add one without a subnet; lent until the next add */
struct network_record *env_record_add_network(struct env_record *r, const char *name);
void env_record_drop_network(struct env_record *r, const char *name);
struct volume_record *env_record_volume(const struct env_record *r, const char *name);
/** env_record_add_volume() - find it, or add one of no size; lent until the next add */
struct volume_record *env_record_add_volume(struct env_record *r, const char *name);
void env_record_drop_volume(struct env_record *r, const char *name);
/** container_record_address() - its place on a network, or NULL */
struct address_record *container_record_address(const struct container_record *c,
						const char *network);
/** container_record_set_address() - set or change its place; a new one gets the first free
 * interface
 */
void container_record_set_address(struct container_record *c, const char *network,
				  struct in_addr address);
void container_record_drop_address(struct container_record *c, const char *network);
/** container_record_reset_ports() - forget the bound ports */
void container_record_reset_ports(struct container_record *c);
/** env_record_is_up() - whether anything of it was applied and not taken down */
bool env_record_is_up(const struct env_record *r);

/** env_record_to_json() - owned */
struct json *env_record_to_json(const struct env_record *r);
/**
 * env_record_from_json() - read any version of the format so far
 * @what: names the file in messages
 *
 * Return: 0; -E_INVALID for damaged content; -E_CONFLICT if a newer ctrz wrote it
 */
int env_record_from_json(const struct json *v, const char *what, struct env_record *ret,
			 struct error *err) MUST_CHECK;

/** env_record_print() - append the text of state.json */
void env_record_print(const struct env_record *r, struct buffer *out);
/** env_record_parse() - such a text, NUL after its end. Return: as env_record_from_json() */
int env_record_parse(const char *text, size_t size, const char *what, struct env_record *ret,
		     struct error *err) MUST_CHECK;

enum record_part { RECORD_NETWORK, RECORD_VOLUME, RECORD_CONTAINER, RECORD_PARTS };

/** env_record_note() - put what is known of one object into @line, in the form of the record */
void env_record_note(const struct env_record *r, enum record_part part, const char *name,
		     struct json *line);
/** env_record_take_note() - the other way. Return: as env_record_from_json() */
int env_record_take_note(struct env_record *r, const struct json *line, const char *what,
			 struct error *err) MUST_CHECK;

/** env_record_take_new() - the same of objects that are not in the record yet, which is not looked
 * at
 */
int env_record_take_new(struct env_record *r, const struct json *v, const char *what,
			struct error *err) MUST_CHECK;

/** random_id() - @size - 1 characters of [a-z0-9] without look-alikes, and a NUL */
void random_id(char *out, size_t size);

#endif
