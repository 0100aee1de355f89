#include "acme/account/ceilings_share.h"

#include <stdlib.h>

#include "acme/ca/ceilings.h"
#include "common/log/log.h"

enum { QUERY_MS = 1000 };

/* A ceiling that is not kept any more goes. */
static const char share_sql[] =
    "WITH said AS (SELECT u.ceiling, u.count, u.period FROM unnest($2::text[], $3::bigint[], $4::bigint[])"
    "  AS u (ceiling, count, period) WHERE u.count > 0),"
    " gone AS (DELETE FROM ca_ceilings WHERE directory = $1 AND ceiling NOT IN (SELECT ceiling FROM said))"
    " INSERT INTO ca_ceilings AS c (directory, ceiling, capacity, seconds)"
    " SELECT $1, ceiling, count, period::double precision / count FROM said"
    " ON CONFLICT (directory, ceiling) DO UPDATE SET capacity = EXCLUDED.capacity, seconds = EXCLUDED.seconds"
    " WHERE (c.capacity, c.seconds) <> (EXCLUDED.capacity, EXCLUDED.seconds)";

static void share(const struct ca *ca, struct pg *pg)
{
	const char *names[BUDGET_CEILINGS], *counts[BUDGET_CEILINGS], *periods[BUDGET_CEILINGS];
	char numbers[2][BUDGET_CEILINGS][24];
	struct error error = {""};
	for (int at = 0; at < BUDGET_CEILINGS; at++) {
		const struct ceiling *rule = &ca_config(ca)->ceilings.rules[at];
		names[at] = ceiling_name(at);
		counts[at] = pg_int_text(numbers[0][at], rule->count);
		periods[at] = pg_int_text(numbers[1][at], rule->period_s);
	}
	char *name_array = pg_text_array(names, BUDGET_CEILINGS);
	char *count_array = pg_text_array(counts, BUDGET_CEILINGS);
	char *period_array = pg_text_array(periods, BUDGET_CEILINGS);
	if (pg_run(pg, QUERY_MS, NULL, &error, share_sql, pg_text(ca_directory_url(ca)), pg_text(name_array),
		pg_text(count_array), pg_text(period_array)) != R_OK)
		log_warn("the ceilings of a CA were not written down",
		    log_str("directory", ca_directory_url(ca)), log_str("error", error.text));
	free(name_array);
	free(count_array);
	free(period_array);
}

void ceilings_share(const struct ca_list *cas, struct pg *pg)
{
	for (size_t i = 0; i < cas->count; i++)
		share(cas->cas[i], pg);
}
