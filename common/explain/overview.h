/*
 * What an operator looks at first, as statements that `postern status` prints and the API answers with: a
 * column's name is the field's. $1 is the tenant that asks, and there is nothing here for a tenant. Each
 * stays cheap with a million names: what is many is counted up to 10,000 and reckoned above that (the
 * database's function count_about).
 */
#ifndef COMMON_EXPLAIN_OVERVIEW_H
#define COMMON_EXPLAIN_OVERVIEW_H

/* Each status, also those that nobody has. */
extern const char overview_domains_sql[];
/* By cause and who can mend it, with the five names that failed last. */
extern const char overview_failures_sql[];
/* What is left of the CAs' quotas: the accounts' own ceilings, and the ten buckets that fill again last. */
extern const char overview_budget_sql[];
/* Jobs that wait, by lane and for what: an issuer's time, the CA's quota (budget), its recovery (ca). */
extern const char overview_waiting_sql[];
/* Certificates by the day (UTC) on which they are due: today, with what is overdue, and six more. */
extern const char overview_renewals_sql[];
extern const char overview_nodes_sql[];

#endif
