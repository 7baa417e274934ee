/* SPDX-License-Identifier: MIT */
/* Shared by the parts of the import: making nodes, noting what is lost. */
#ifndef CTRZ_SPEC_COMPOSE_IMPORT_INTERNAL_H
#define CTRZ_SPEC_COMPOSE_IMPORT_INTERNAL_H

#include "base/map.h"
#include "spec/report/report.h"
#include "spec/tree/yaml_tree.h"

struct import {
	struct spec_arena *arena;
	struct diagnostics *diags;
	struct map vars;      /* names used; value: the node they were first seen in */
	struct node *volumes; /* declared ones, ours; anonymous ones are added */
	const char *service;  /* whose keys are being read; NULL at the top */
	bool said_loopback;
};

/** put() - into a mapping that grows; a NULL value is left out */
void put(struct import *im, struct node *map, const char *key, struct node *value);
void put_text(struct import *im, struct node *map, const char *key, const struct node *like,
	      const char *value);
/** add_item() - to a sequence that grows */
void add_item(struct import *im, struct node *list, struct node *value);
struct node *new_map(struct import *im, const struct node *like);
struct node *new_list(struct import *im, const struct node *like);
struct node *new_text(struct import *im, const struct node *like, const char *text);

/** lost() - W801 */
void lost(struct import *im, const struct node *key, const char *why);
/** changed() - W802 */
void changed(struct import *im, const struct node *key, const char *what);
/** lost_rest() - W801 for each key of a map that is not among @known (NULL at the end) */
void lost_rest(struct import *im, const struct node *map, const char *const *known,
	       const char *why);

/** text_of() - of a scalar that is not null, else NULL */
const char *text_of(const struct node *n);
bool is_true(const struct node *n);
/** import_use_var() - declare a variable of the host. Return: its name here */
const char *import_use_var(struct import *im, struct node *n, const char *name);
/** our_name() - a name of the language for one of Compose's; said if it differs */
const char *our_name(struct import *im, const struct node *key);
/** our_size() - "512m" as "512MiB"; NULL if it is none */
const char *our_size(struct import *im, const char *text);
/** pairs_of() - a map, or a list of NAME=VALUE, as a map of texts */
struct node *pairs_of(struct import *im, const struct node *n, char separator);
/** list_of() - a list, or one text as a list of it */
struct node *list_of(struct import *im, struct node *n);
/** words_of() - a command: a list as it is, a text split as a shell would */
struct node *words_of(struct import *im, struct node *n);

/** section() - the map behind a key of the container, made if it is not there */
struct node *section(struct import *im, struct node *container, const struct node *like,
		     const char *key);
/* Into resources: of the container, unless that has it already. */
void import_memory(struct import *im, const struct node *key, struct node *value,
		   struct node *container);
void import_cpus(struct import *im, const struct node *key, struct node *value,
		 struct node *container);
/** import_service() - one service as a container */
struct node *import_service(struct import *im, struct node *service);
/* Values of services that need more than a new name. */
struct node *import_ports(struct import *im, struct node *n);
struct node *import_mounts(struct import *im, struct node *n);
struct node *import_health(struct import *im, struct node *n);
struct node *import_depends(struct import *im, struct node *n);
struct node *import_attachments(struct import *im, struct node *n);
/* A config without a target is at /NAME, a secret in /run/secrets. */
struct node *import_file_references(struct import *im, struct node *n);
struct node *import_secret_references(struct import *im, struct node *n);
void import_deploy(struct import *im, struct node *deploy, struct node *container);

/** tree_print() - a tree as block YAML */
void tree_print(const struct node *n, unsigned indent, struct buffer *out);

#endif
