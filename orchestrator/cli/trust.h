/* SPDX-License-Identifier: MIT */
/* Asking before a file reaches more of the host than was agreed to. */
#ifndef CTRZ_ORCHESTRATOR_CLI_TRUST_H
#define CTRZ_ORCHESTRATOR_CLI_TRUST_H

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/options.h"
#include "orchestrator/state/spec_source.h"
#include "orchestrator/state/trust_store.h"
#include "spec/config.h"

#define TRUST_OPTION                                                                           \
	{                                                                                      \
		.name = "trust", .value = "HASH",                                              \
		.help = "agree to what the file reaches of the host: HASH as ctrz trust show " \
			"names it"                                                             \
	}

/* What a spec reaches, and what of it was agreed to. */
struct trust_case {
	struct trust_record source;   /* nothing agreed to: what it is called */
	struct spec_reach_set wanted; /* all of it; places are lent from the environment */
	struct spec_reach_set grown;  /* what has to be asked about */
	struct trust_record found;    /* what was agreed to; source NULL = nothing */
	char *old;                    /* owned; where it was before it was moved, or NULL */
	char hash[TRUST_HASH_SIZE];
};

#define AUTO_TRUST_CASE CLEANUP(trust_case_release) struct trust_case

void trust_case_release(struct trust_case *c);
/**
 * trust_case_open() - look only: nothing is asked or written
 * @config: the user's, which may allow repositories; NULL = none
 * @file: the spec; @git: where it came from, if not from here
 */
int trust_case_open(const struct cli *cli, const struct config *config, const char *file,
		    const struct spec_source *git, const struct environment *env,
		    struct trust_case *ret, struct error *err) MUST_CHECK;
/** trust_case_agree() - all that is wanted is agreed to from now on, with what was before */
int trust_case_agree(const struct host_paths *paths, const struct trust_case *c,
		     struct error *err) MUST_CHECK;
/** trust_case_print() - a line for each item of @set; of what was agreed to less of, how much */
void trust_case_print(const struct trust_case *c, const struct spec_reach_set *set,
		      struct buffer *out);

/**
 * trust_require() - go on only if all that @env reaches is agreed to
 *
 * What is new is agreed to by --trust with its hash, or by a yes on a terminal. What was asked
 * about is @env as it is in memory: the caller applies that. Return: 0, or -E_DENIED with exit code
 * EXIT_TRUST and the option to give
 */
int trust_require(struct cli *cli, const struct options *o, const struct config *config,
		  const char *file, const struct spec_source *git, const struct environment *env,
		  struct error *err) MUST_CHECK;

/** trust_foretell() - on stderr, what `ctrz up` will ask about, if anything */
int trust_foretell(const struct cli *cli, const struct config *config, const char *file,
		   const struct spec_source *git, const struct environment *env,
		   struct error *err) MUST_CHECK;

#endif
