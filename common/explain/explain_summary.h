/*
 * One sentence on top: what is wrong with a name, if anything, and who acts. Pure.
 */
#ifndef COMMON_EXPLAIN_EXPLAIN_SUMMARY_H
#define COMMON_EXPLAIN_EXPLAIN_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>

enum { EXPLAIN_SUMMARY_MAX = 2048 };

/* Texts may be NULL where they do not apply. */
struct explain_facts {
	const char *status;       /* of the claim that counts: the owner's, else the last one; NULL: none */
	const char *kind;         /* of the claim: customer, platform */
	const char *suspended_by; /* operator, drift */
	bool is_passed_on;        /* an active claim with the option passthrough */
	bool was_passed_on;       /* an edge has passed on its TLS, by a setting where nobody claims it */
	bool has_certificate;     /* one that has not expired */
	const char *expired_at;   /* one that has */
	const char *job_state;    /* idle, queued, running, failed */
	const char *waits_for;    /* the job waits for the CA: why, in words */
	const char *next_try_at;
	const char *last_error, *last_actor;
	/* What DNS says just now is wrong, for the step that counts; NULL: nothing, or nobody looked. */
	const char *dns_says, *dns_who;
	/* An edge that has refused whoever came last, though all that is stored is well: when, why. */
	struct {
		const char *on, *at, *why, *who; /* on NULL: none, or nobody asked the edges */
	} refused;
};

struct explain_summary {
	const char
	    *code; /* served, not_added, released, suspended, pending, failed, waiting, drifted, expired */
	const char *who; /* customer, operator, dns_provider, ca, nobody */
	char text[EXPLAIN_SUMMARY_MAX];
};

void explain_summarise(struct explain_summary *out, const char *name, const struct explain_facts *facts);
/* One row of columns that are called as the facts are; the parameters of explain.h. */
extern const char explain_facts_sql[];

#endif
