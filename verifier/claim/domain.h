/*
 * The domains in PostgreSQL: the statements about claims, their checks and their owner. A state changes only
 * by compare-and-swap, in functions of the database (sql/0005_tenants.sql), and only while the row still is
 * what was decided upon.
 *
 * Each call is one request to the database or a few, none held open over anything else.
 */
#ifndef VERIFIER_CLAIM_DOMAIN_H
#define VERIFIER_CLAIM_DOMAIN_H

#include <stdbool.h>

#include "common/dns/routing_check.h"
#include "common/net/hostname.h"
#include "verifier/access/scope.h"
#include "verifier/claim/claim_rules.h"
#include "verifier/claim/name_search.h"
#include "verifier/claim/txt_check.h"
#include "verifier/config.h"

enum { DOMAIN_TOKEN = 32, DOMAIN_LEASE_S = 15, DOMAIN_CHECKS_KEPT = 200, DOMAIN_LIST_MAX = 500 };

/* The claim that owns the name that another one is checked for: its proof is looked for in the same check. */
struct domain_rival {
	int64_t id; /* 0: nobody */
	char token[TXT_TOKEN_MAX + 1];
	char txt_label[TXT_LABEL_MAX + 1];
};

/* The last diagnosis of a claim, as it is remembered: whether another one is due (verifier/diagnose/). */
enum { DOMAIN_BASIS = 32 };
struct domain_memory {
	char basis[DOMAIN_BASIS + 1]; /* of what the ordinary check had found then; "": there is none */
	bool is_full, is_troubled;
	int age_s;
};

/* What a look-up needs to know about a claim, and what makes its result still count: the token. */
struct domain_claim {
	int64_t id;
	char tenant[TENANT_MAX + 1];
	char name[HOSTNAME_MAX + 1];
	char status[16];
	char token[TXT_TOKEN_MAX + 1];
	char txt_label[TXT_LABEL_MAX + 1]; /* "": the setting's */
	int checks;                        /* since the schedule (re)started */
	struct domain_rival rival;
	struct domain_memory memory;
};

/* What a check, or a thorough look besides it, says about the domain's DNS. */
struct domain_diagnosis {
	char *json; /* owned; NULL: the one that is stored holds */
	struct domain_memory memory;
};

struct domain_verdict {
	enum txt_outcome txt;
	enum routing routing;
	enum txt_outcome rival; /* of the owner's record, where there is a rival */
	char detail[1400];
	char *found;                  /* JSON, owned */
	char basis[DOMAIN_BASIS + 1]; /* a digest of all that was found */
	struct domain_diagnosis diagnosis;
	int took_ms;
	const char *by; /* "api", "poller" */
};

/* A row for showing; strings live as long as the result it was read from; NULL where SQL has NULL. */
struct domain_view {
	int64_t id;
	const char *tenant, *name, *status, *token, *txt_label, *kind;
	const char *points_here; /* "t", "f" */
	const char *created_at, *verified_at, *next_check_at, *options, *suspended_by;
	const char *certificate, *certificate_reason, *certificate_issuer, *not_after, *next_try_at,
	    *certificate_actor;
	const char *certificate_source; /* "acme", "upload" */
	const char *check_outcome, *check_detail, *check_found, *checked_at, *checked_by;
	const char *diagnosis; /* JSON */
	const char *lasting;   /* what a lasting record says, a line for each CA that takes one */
};
void domain_view_read(const PGresult *rows, int row, struct domain_view *view);

/* A claim to be added. `token` "": one is made. */
struct domain_new {
	char tenant[TENANT_MAX + 1];
	char name[HOSTNAME_MAX + 1];
	char token[TXT_TOKEN_MAX + 1];
	char txt_label[TXT_LABEL_MAX + 1];
	bool is_platform, is_active;
	char *options; /* JSON, NULL: none; owned by the caller */
};
enum domain_added {
	DOMAIN_ADDED,
	DOMAIN_EXISTS, /* the tenant has it; nothing was changed */
	DOMAIN_FULL,   /* the tenant's quota */
	DOMAIN_OWNED,  /* it was to be active at once, and is another tenant's */
};
/* All or, after an error, none. `quota`: claims of a tenant that has none of its own; below 0: any number. An
 * operator's claims make their tenants. */
enum result domain_add(struct pg *pg, const struct scope *scope, int quota, struct domain_new *claims,
    int count, enum domain_added *outcomes, struct error *error);

/* The claims of a name that are not released; `tenant` NULL: everybody's within the scope. `lock`: within a
 * transaction, against changes. */
enum result domain_find(struct pg *pg, const struct scope *scope, const char *tenant, const char *name,
    bool lock, PGresult **rows, struct error *error);
/* A place in the list; the first one is {"", "", 0}. */
struct domain_place {
	const char *name, *tenant;
	int64_t id; /* tells the claims apart that a tenant released */
};
/* Each NULL: any; `status` NULL: all but released; `within`: the name ends with it; `search`: see
 * name_search.h. */
struct domain_filter {
	const char *tenant, *status, *certificate, *within;
	const struct name_search *search;
};
/* In order of name, tenant and id, after that place. */
enum result domain_list(struct pg *pg, const struct scope *scope, const struct domain_filter *filter,
    const struct domain_place *after, int limit, PGresult **rows, struct error *error);
/* A claim that never was active is deleted, one that was becomes `released`: its certificate stays until it
 * expires. R_NONE: there is none. */
enum result domain_remove(struct pg *pg, const struct scope *scope, int64_t id, struct error *error);
/* Replaces the options (a JSON object). R_NONE: gone meanwhile. */
enum result domain_set_options(
    struct pg *pg, const struct scope *scope, int64_t id, const char *options, struct error *error);
/* The operator's own stop, which no proof undoes, and its end. R_NONE: the claim is not in a state for it. */
enum result domain_suspend(
    struct pg *pg, const struct scope *scope, int64_t id, bool suspend, struct error *error);

/* Takes a claim for a check now, and restarts its schedule. R_NONE: gone meanwhile. */
enum result domain_claim(
    struct pg *pg, const struct scope *scope, int64_t id, struct domain_claim *out, struct error *error);
/* Takes up to `limit` claims that are due and nobody else is checking. */
enum result domain_claim_due(
    struct pg *pg, int limit, struct domain_claim *out, int *count, struct error *error);

enum domain_settled {
	DOMAIN_SETTLED, /* its state is as it was */
	DOMAIN_VERIFIED,
	DOMAIN_DRIFTED,
	DOMAIN_RECOVERED,
	DOMAIN_SUSPENDED,
	DOMAIN_RESUMED,
	DOMAIN_IS_OWNED, /* proven, but another tenant owns the name */
	DOMAIN_IS_STALE, /* proven by a token that is older than the name's last owner */
	DOMAIN_IS_LOST,  /* the claim changed meanwhile; the check is stored, nothing else */
};
/* Stores the check, its diagnosis, and what follows from it: the claim's state, the next check, the
 * certificate ordered once the name is active and points here. */
enum result domain_settle(struct pg *pg, const struct scope *scope, const struct domain_claim *claim,
    const struct domain_verdict *verdict, const struct claim_rules *rules, enum domain_settled *settled,
    struct error *error);

/* May a certificate be had for each of these names? */
enum result domains_are_allowed(struct pg *pg, int timeout_ms, const char *const *names, size_t count,
    bool *allowed, struct error *error);

#endif
