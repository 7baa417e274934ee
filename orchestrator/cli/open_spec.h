/* SPDX-License-Identifier: MIT */
/* What validate, config and graph begin with: a file read for its own sake, on its own. */
#ifndef CTRZ_ORCHESTRATOR_CLI_OPEN_SPEC_H
#define CTRZ_ORCHESTRATOR_CLI_OPEN_SPEC_H

#include "orchestrator/apply/host_facts.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/state/spec_source.h"
#include "spec/spec.h"

enum open_spec_flags {
	OPEN_SPEC_LATER = 1 << 0,    /* keys that have no effect yet are fine */
	OPEN_SPEC_STRICT = 1 << 1,   /* also say what is only doubtful */
	OPEN_SPEC_REGISTRY = 1 << 3, /* registries are asked for the images */
	OPEN_SPEC_ANYTIME =
		1 << 2, /* what this host is busy with now (ports, memory) is not looked at */
};

/** open_spec_name() - what to call the spec of "[FILE]", -f or "-" in messages; lent */
const char *open_spec_name(const struct options *o);

/* A spec that was read. */
struct opened_spec {
	struct environment *env;   /* owned */
	struct spec_source source; /* where it came from, if from git */
	char *file;                /* owned; its path on this host, "-" = standard input */
	struct host_config config; /* the user's, by which it was read */
};

#define AUTO_OPENED_SPEC CLEANUP(opened_spec_release) struct opened_spec

void opened_spec_release(struct opened_spec *s);

/**
 * open_spec() - read the spec of "[FILE]", "-" (standard input) or -f FILE..., with --profile
 * @flags: enum open_spec_flags
 * @diags: gets every finding; nothing is printed
 *
 * Return: as spec_load()
 */
int open_spec(struct cli *cli, const struct options *o, unsigned flags, struct opened_spec *ret,
	      struct diagnostics *diags, struct error *err) MUST_CHECK;

#endif
