/* SPDX-License-Identifier: MIT */
/* Short forms: scalars and lists brought into the long form of the field tables. */
#ifndef CTRZ_SPEC_FIELDS_SHORT_FORMS_H
#define CTRZ_SPEC_FIELDS_SHORT_FORMS_H

struct decode;
struct field;
struct node;

/* All return a mapping node, or NULL after having reported why not. */
struct node *expand_egress(struct decode *d, struct node *value);
struct node *expand_dependency(struct decode *d, struct node *value);
struct node *expand_port_number(struct decode *d, struct node *value);
struct node *expand_health(struct decode *d, struct node *value);
struct node *expand_restart(struct decode *d, struct node *value);
struct node *expand_watch(struct decode *d, struct node *value);
struct node *expand_process(struct decode *d, struct node *value);
struct node *expand_hook(struct decode *d, struct node *value);
struct node *expand_mount(struct decode *d, struct node *value);
struct node *expand_socket(struct decode *d, struct node *value);
struct node *expand_port(struct decode *d, struct node *value);
struct node *expand_reference(struct decode *d, struct node *value);
struct node *expand_ulimit(struct decode *d, struct node *value);
struct node *expand_mirror(struct decode *d, struct node *value);

/* A list of names as a map of empty objects. */
struct node *reshape_names(struct decode *d, const struct field *f, struct node *value);
/* Ranges of ports as single ports. */
struct node *reshape_ports(struct decode *d, const struct field *f, struct node *value);

#endif
