/*
 * The domains in PostgreSQL: every statement about claims, their checks and their owner is here. A state
 * changes only by compare-and-swap: in one statement, and only while the row still is what was decided upon.
 *
 * Each call is one request to the database or a few, none held open over anything else.
 */
#ifndef VERIFIER_CLAIM_DOMAIN_H
#define VERIFIER_CLAIM_DOMAIN_H

#include <stdbool.h>

#include "common/dns/routing_check.h"
#include "common/hostname.h"
#include "common/pg.h"
#include "verifier/claim/txt_check.h"
#include "verifier/config.h"

enum { DOMAIN_TOKEN = 32, DOMAIN_LEASE_S = 15, DOMAIN_CHECKS_KEPT = 200, DOMAIN_PAGE_MAX = 500 };

/* What a look-up needs to know about a claim, and what makes its result still count: the token. */
struct domain_claim {
	int64_t id;
	char tenant[TENANT_MAX + 1];
	char name[HOSTNAME_MAX + 1];
	char status[16];
	char token[128];
	int checks; /* since the schedule (re)started */
};

struct domain_verdict {
	enum txt_outcome txt;
	enum routing routing;
	char detail[1024];
	char *found; /* JSON, owned */
	int took_ms;
	const char *by; /* "api", "poller" */
};

/* A row for showing; strings live as long as the result it was read from; NULL where SQL has NULL. */
struct domain_view {
	int64_t id;
	const char *tenant, *name, *status, *token;
	const char *points_here; /* "t", "f" */
	const char *created_at, *verified_at, *next_check_at;
	const char *certificate, *certificate_reason, *certificate_issuer, *not_after, *next_try_at;
	const char *check_outcome, *check_detail, *check_found, *checked_at, *checked_by;
};
void domain_view_read(const PGresult *rows, int row, struct domain_view *view);

/* Adds a claim, and its tenant if that is new. R_NONE: the tenant has this claim already; nothing was
 * changed. */
enum result domain_add(
    struct pg *pg, const char *tenant, const char *name, const char *actor, struct error *error);
/* The claims of a name that are not released; `tenant` NULL: everybody's. */
enum result domain_find(
    struct pg *pg, const char *tenant, const char *name, PGresult **rows, struct error *error);
/* A place in the list; the first one is {"", "", 0}. */
struct domain_place {
	const char *name, *tenant;
	int64_t id; /* tells the claims apart that a tenant released */
};
/* In order of name, tenant and id, after that place. `status` NULL: all but released. */
enum result domain_list(struct pg *pg, const char *tenant, const char *status,
    const struct domain_place *after, int limit, PGresult **rows, struct error *error);
/* A claim that never was active is deleted, one that was becomes `released`. R_NONE: there is none. */
enum result domain_remove(struct pg *pg, int64_t id, const char *actor, struct error *error);

/* Takes a claim for a check now, and restarts its schedule. R_NONE: gone meanwhile. */
enum result domain_claim(struct pg *pg, int64_t id, struct domain_claim *out, struct error *error);
/* Takes up to `limit` claims that are due and nobody else is checking. */
enum result domain_claim_due(
    struct pg *pg, int limit, struct domain_claim *out, int *count, struct error *error);
/* Stores the check and what follows from it: pending → active on proof, the next check, the certificate
 * ordered once the name is active and points here. R_DENIED: proven, but another tenant owns the name.
 * R_LOST: the claim changed meanwhile; the check is stored, nothing else. */
enum result domain_settle(struct pg *pg, const struct domain_claim *claim,
    const struct domain_verdict *verdict, bool pre_issue, struct error *error);

/* May a certificate be had for this name? */
enum result domain_is_allowed(
    struct pg *pg, int timeout_ms, const char *name, bool *allowed, struct error *error);

#endif
