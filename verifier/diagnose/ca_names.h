/*
 * The CAs that may issue for us, as CAA records call them, with our accounts there: what the issuer has noted
 * in ca_accounts, read again once a minute at most. Any thread.
 */
#ifndef VERIFIER_DIAGNOSE_CA_NAMES_H
#define VERIFIER_DIAGNOSE_CA_NAMES_H

#include "common/pg/pg.h"
#include "verifier/diagnose/judge.h"

struct ca_names;

struct ca_names *ca_names_new(void);
void ca_names_free(struct ca_names *names);

/* On a connection that is at hand. What could not be read stays as it was. */
void ca_names_refresh(struct ca_names *names, struct pg *pg);
/* The one to recommend first. How many. */
size_t ca_names_take(struct ca_names *names, struct judge_ca out[JUDGE_CAS_MAX]);

#endif
