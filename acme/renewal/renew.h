/*
 * The issuer's upkeep, one thread that speaks to the database alone: certificates that are due become renewal
 * jobs, campaigns of re-issue go on, what has had its time is removed, gauges are read. All in batches of
 * bounded size along an index, by the database's clock; any number of instances may do it at once.
 */
#ifndef ACME_RENEW_H
#define ACME_RENEW_H

struct renew;

struct renew *renew_start(const char *database);
void renew_stop(struct renew *renew);

#endif
