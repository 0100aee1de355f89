/*
 * The circuit breaker of a CA, shared by the fleet (table ca_health): after failures of the CA's own doing
 * for BREAKER_THRESHOLD names in a row nobody contacts it for 15 s, doubling to 10 minutes, or for as long as
 * it asked for, an hour at most; then one job tries, and its end decides.
 */
#ifndef ACME_BREAKER_H
#define ACME_BREAKER_H

#include "acme/ca/acme_error.h"
#include "acme/queue/job.h"
#include "common/pg/pg.h"

/* BREAKER_PROBE_MS: when the one that tries has said nothing by then, another one does. */
enum { BREAKER_THRESHOLD = 5, BREAKER_PROBE_MS = 30 * 1000 };

/* What the one that tries holds, as the database writes times; empty: nobody's. */
struct breaker_probe {
	char until[40];
};

/* Before a job contacts the CA. R_LIMIT: it is not to, and *wait says until when, spread over those who wait.
 * In the minute after the CA is found well again few go ahead at first, then more. */
enum result breaker_enter(struct pg *pg, const char *directory, struct breaker_probe *probe,
    struct job_wait *wait, struct error *error);
/* The same for who has no job: R_LIMIT while the pause lasts. Nobody's try is taken. */
enum result breaker_look(struct pg *pg, const char *directory, struct job_wait *wait, struct error *error);
/* The job has ended, whatever came of it: a probe that said nothing about the CA is handed over. */
void breaker_leave(struct pg *pg, const char *directory, const struct breaker_probe *probe);

/* What a job's end says of the CA. `failure` NULL: a certificate. A customer's failure shows that the CA
 * works; what may be about the name alone, or was foreseen without asking it, shows nothing. */
void breaker_report(
    struct pg *pg, const char *directory, const char *name, const struct acme_failure *failure);
/* For questions that have a breaker of their own, since they are no orders: one failure opens it. */
void breaker_open(struct pg *pg, const char *directory, const struct acme_failure *failure);

/* Sets the gauge of each CA that is known to it. */
enum result breaker_show(struct pg *pg, struct error *error);

#endif
