/*
 * Diagnoses for the API and the poller: when a thorough look is worth it, how many of them at once, and what
 * the verdicts come to.
 *
 * The ordinary check's look-ups are judged whenever they find something else than before. A thorough look
 * (dns_look_run.h) is made for a click, and for the poller where something is not as it should be: when what
 * was found has changed since the last diagnosis, else every DIAGNOSER_AGAIN_S. Where there is no room
 * (look_room.h: the process's, and the tenant's), the verdicts rest on the ordinary check; the poller waits
 * for a while first.
 */
#ifndef VERIFIER_DIAGNOSE_DIAGNOSER_H
#define VERIFIER_DIAGNOSE_DIAGNOSER_H

#include "verifier/claim/domain_check.h"

enum { DIAGNOSER_AGAIN_S = 600 };

struct diagnoser;
struct dns_look;
struct look_job;

/* Both outlive it. */
struct diagnoser *diagnoser_new(const struct config *config, struct resolver *resolver);
void diagnoser_free(struct diagnoser *diagnoser);

/* What CAs there are, on a connection that is at hand. */
void diagnoser_learn(struct diagnoser *diagnoser, struct pg *pg);

/* A thorough look for who clicked: blocks for LOOK_MS at most. NULL: there is no room. */
struct dns_look *diagnoser_look(struct diagnoser *diagnoser, const struct domain_claim *claim);

/* One for the poller, in a thread of its own, which wakes resolver_wait at its end. R_NONE: it is not due
 * after this check. R_AGAIN: there is no room now; who does not ask again tells it (diagnoser_leave_out). */
enum result diagnoser_start_look(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_verdict *verdict, struct look_job **out);
void diagnoser_leave_out(struct diagnoser *diagnoser);
bool look_job_is_done(const struct look_job *job);
/* Waits for it and frees the job; the look is the caller's. */
struct dns_look *look_job_take(struct look_job *job);

/* Judges what the finished check and the look (NULL: none) have seen, into verdict->diagnosis; leaves it
 * empty where the claim's last diagnosis says as much. */
void diagnoser_judge(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, const struct dns_look *look, struct domain_verdict *verdict);

#endif
