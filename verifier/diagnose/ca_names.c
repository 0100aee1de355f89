#include "verifier/diagnose/ca_names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

enum { LIFE_MS = 60 * 1000, QUERY_MS = 1000 };

struct ca_names {
	pthread_mutex_t lock; /* of all that follows */
	int64_t read_at_ms;   /* 0: never */
	size_t count;
	struct judge_ca cas[JUDGE_CAS_MAX];
};

struct ca_names *ca_names_new(void)
{
	struct ca_names *names = mem_alloc(sizeof *names);
	pthread_mutex_init(&names->lock, NULL);
	return names;
}

void ca_names_free(struct ca_names *names)
{
	if (!names)
		return;
	pthread_mutex_destroy(&names->lock);
	free(names);
}

/* One thread reads, the others go on with what there is. */
static bool is_due(struct ca_names *names)
{
	int64_t now = clock_monotonic_ms();
	pthread_mutex_lock(&names->lock);
	bool due = !names->read_at_ms || now - names->read_at_ms >= LIFE_MS;
	if (due)
		names->read_at_ms = now;
	pthread_mutex_unlock(&names->lock);
	return due;
}

/* A row for each name of a CA; a CA's rows stand together. */
static size_t read_rows(const PGresult *rows, struct judge_ca cas[JUDGE_CAS_MAX])
{
	size_t count = 0;
	for (int row = 0; row < PQntuples(rows); row++) {
		const char *url = pg_get(rows, row, 0);
		if (!count || strcmp(cas[count - 1].account_url, url) != 0) {
			if (count == JUDGE_CAS_MAX || strlen(url) >= JUDGE_URL_MAX)
				break;
			cas[count] = (struct judge_ca){.identity_count = 0};
			strcpy(cas[count++].account_url, url);
		}
		struct judge_ca *ca = &cas[count - 1];
		if (ca->identity_count < JUDGE_IDENTITIES_MAX)
			snprintf(ca->identities[ca->identity_count++], HOSTNAME_MAX + 1, "%s",
			    pg_get(rows, row, 1));
	}
	return count;
}

void ca_names_refresh(struct ca_names *names, struct pg *pg)
{
	PGresult *rows = NULL;
	struct judge_ca cas[JUDGE_CAS_MAX];
	if (!is_due(names))
		return;
	enum result result = pg_query(pg, QUERY_MS, &rows, NULL,
	    "SELECT a.account_url, n.name FROM ca_accounts a, unnest(a.issuer_names) WITH ORDINALITY AS n "
	    "(name, place)"
	    " WHERE a.status = 'valid' AND a.account_url IS NOT NULL ORDER BY a.created_at, a.directory, "
	    "n.place",
	    NULL, 0);
	size_t count = result == R_OK ? read_rows(rows, cas) : 0;
	PQclear(rows);
	pthread_mutex_lock(&names->lock);
	if (result == R_OK) {
		names->count = count;
		memcpy(names->cas, cas, count * sizeof *cas);
	} else {
		names->read_at_ms = 0;
	}
	pthread_mutex_unlock(&names->lock);
}

size_t ca_names_take(struct ca_names *names, struct judge_ca out[JUDGE_CAS_MAX])
{
	pthread_mutex_lock(&names->lock);
	size_t count = names->count;
	memcpy(out, names->cas, count * sizeof *out);
	pthread_mutex_unlock(&names->lock);
	return count;
}
