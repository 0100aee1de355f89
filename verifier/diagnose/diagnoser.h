/*
 * Diagnoses for the API and the poller: when a thorough look is worth it, how many of them at once, and what
 * the verdicts come to.
 *
 * The ordinary check's five look-ups are judged every time they find something new; a thorough look
 * (dns_look_run.h) is made for a click, and by the poller where something is not as it should be: when what
 * was found has changed since the last diagnosis, else every DIAGNOSER_AGAIN_S. In all at most
 * DIAGNOSER_LOOKS at once in a process, half of them the poller's; where there is no room, the verdicts rest
 * on the ordinary check alone.
 */
#ifndef VERIFIER_DIAGNOSE_DIAGNOSER_H
#define VERIFIER_DIAGNOSE_DIAGNOSER_H

#include "verifier/claim/domain_check.h"

enum { DIAGNOSER_AGAIN_S = 600, DIAGNOSER_LOOKS = 32 };

struct diagnoser;

/* Both outlive it. */
struct diagnoser *diagnoser_new(const struct config *config, struct resolver *resolver);
void diagnoser_free(struct diagnoser *diagnoser);

/* What CAs there are, on a connection that is at hand. */
void diagnoser_learn(struct diagnoser *diagnoser, struct pg *pg);

/* Judges what the finished check has seen, into verdict->diagnosis; leaves it empty where the claim's last
 * diagnosis still holds. */
void diagnoser_judge(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, struct domain_verdict *verdict);

#endif
