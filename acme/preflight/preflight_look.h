/*
 * One look of preflight at a name: what its files share. preflight.c asks and judges, preflight_route.c finds
 * out whether the name leads here.
 */
#ifndef ACME_PREFLIGHT_LOOK_H
#define ACME_PREFLIGHT_LOOK_H

#include <stdatomic.h>

#include "acme/ca/acme_directory.h"
#include "acme/preflight/preflight.h"
#include "common/dns/caa.h"

enum {
	NAME_A,
	NAME_AAAA,
	TARGET_A,
	TARGET_AAAA,
	PERSIST,
	DELEGATION,
	CAA_FIRST,
	QUESTIONS = CAA_FIRST + CAA_CLIMB_MAX
};

struct preflight {
	struct preflight_config config;
	/* Somebody beyond our own network has answered a request of ours: silence is the address's doing. */
	atomic_bool has_egress;
	struct metric *passed, *stopped, *unknown;
	struct histogram *duration;
};

enum { PREFLIGHT_NOTE_SIZE = 500 };

struct preflight_look {
	struct preflight *preflight;
	const struct preflight_asker *asker;
	const char *name;              /* the job's, */
	const char *base;              /* and what is looked up: a wildcard's is what it stands under */
	char target[HOSTNAME_MAX + 1]; /* "": there is none */
	char persist_name[HOSTNAME_MAX + 1];
	char delegated_name[HOSTNAME_MAX + 1];
	const char *climb[CAA_CLIMB_MAX];
	size_t climb_count;
	struct resolver_question questions[QUESTIONS];
	struct resolver_answer answers[QUESTIONS];
	size_t count;
	struct caa_verdict caa;
	char note[PREFLIGHT_NOTE_SIZE];
	struct acme_failure *failure;
	struct error *error;
};

/* The look's note is the reason. R_ERROR. */
enum result preflight_stop_for(struct preflight_look *look, enum acme_cause cause);

/* The CNAME target that is meant for this name. R_OK, or the database's result. */
enum result preflight_choose_target(struct preflight_look *look);
/* Does the name lead here, or does a request that is sent where it leads reach us? R_NONE: it could not be
 * found out. */
enum result preflight_judge_route(struct preflight_look *look);

#endif
