#include "acme/queue/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/hostname.h"

enum { HOUR_S = 3600, UNCLEAR_BLOCK_S = HOUR_S };

/* Of a wildcard: what it stands under, by which CAs count it, and which is what they validate. */
static const char *registrable(const char *name)
{
	const char *base = hostname_base(name);
	const char *domain = hostname_registrable(base);
	return domain ? domain : base;
}

static const char *key_of(enum budget_ceiling ceiling, const char *name)
{
	switch (ceiling) {
	case BUDGET_DOMAIN: return registrable(name);
	case BUDGET_EXACT: return name;
	case BUDGET_FAILURES: return hostname_base(name);
	default: return "";
	}
}

/* What more urgent lanes keep of a bucket, in percent. */
static int reserve_of(const char *lane)
{
	static const struct {
		const char *lane;
		int percent;
	} reserves[] = {{"new", 10}, {"routine", 30}, {"reissue", 60}};
	for (size_t i = 0; i < sizeof reserves / sizeof *reserves; i++)
		if (strcmp(reserves[i].lane, lane) == 0)
			return reserves[i].percent;
	return 0;
}

/* The arrays that budget_take of sql/ wants, as literals. */
struct question {
	const char *ceilings[BUDGET_CEILINGS];
	const char *keys[BUDGET_CEILINGS];
	char numbers[4][160]; /* capacities, seconds, floors, takes */
	int count;
};

static void put(struct question *question, int list, const char *text)
{
	char *at = question->numbers[list];
	size_t size = strlen(at);
	snprintf(at + size, sizeof question->numbers[list] - size, "%s%s", size ? "," : "{", text);
}

static void add(struct question *question, const struct ceilings *budget, enum budget_ceiling ceiling,
    const char *name, const char *lane, bool take)
{
	const struct ceiling *rule = &budget->rules[ceiling];
	char text[32];
	question->ceilings[question->count] = ceiling_name(ceiling);
	question->keys[question->count++] = key_of(ceiling, name);
	put(question, 0, pg_int_text((char[24]){0}, rule->count));
	snprintf(text, sizeof text, "%.6f", rule->count ? (double)rule->period_s / (double)rule->count : 1.0);
	put(question, 1, text);
	int reserve = ceiling == BUDGET_FAILURES ? 0 : reserve_of(lane);
	put(question, 2, pg_int_text((char[24]){0}, rule->count * reserve / 100));
	put(question, 3, take ? "t" : "f");
}

static void close_lists(struct question *question)
{
	for (int list = 0; list < 4; list++)
		strcat(question->numbers[list], "}");
}

static void describe(struct job_wait *wait, const struct ceilings *budget, const char *ceiling,
    const char *name, const char *when)
{
	int at = 0;
	while (at < BUDGET_CEILINGS - 1 && strcmp(ceiling_name(at), ceiling) != 0)
		at++;
	static const char *const words[BUDGET_CEILINGS] = {
	    [BUDGET_ACCOUNTS] = "new accounts",
	    [BUDGET_ORDERS] = "new orders",
	    [BUDGET_DOMAIN] = "certificates for ",
	    [BUDGET_EXACT] = "certificates for exactly ",
	    [BUDGET_FAILURES] = "failed validations of ",
	    [BUDGET_REQUESTS] = "requests",
	};
	const struct ceiling *rule = &budget->rules[at];
	char many[64] = "";
	if (rule->count > 0)
		snprintf(many, sizeof many, " (%" PRId64 " in %" PRId64 " h)", rule->count,
		    rule->period_s / HOUR_S);
	wait->on = "budget";
	snprintf(wait->text, sizeof wait->text, "the CA's limit on %s%s%s: its turn comes about %s",
	    words[at], key_of((enum budget_ceiling)at, name), many, when);
}

/* A statement on behalf of a job writes nothing once the job is another's: the function is not called then.
 */
#define TAKE \
	"budget_take($3, $4, $5::timestamptz, $6::text[], $7::text[], $8::float8[], $9::float8[], " \
	"$10::float8[]," \
	" $11::boolean[])"
static const char take_sql[] =
    "SELECT (t).granted, (t).ceiling,"
    " ceil(extract(epoch FROM (t).turn_at - clock_timestamp()) * 1000)::bigint,"
    " to_char((t).turn_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')"
    " FROM (SELECT CASE WHEN $2::bigint = 0 OR " JOB_IS_OURS " THEN " TAKE " END AS t OFFSET 0) AS taken";

static enum result ask(struct pg *pg, const struct ceilings *budget, const char *directory,
    const struct question *question, const struct job *job, struct job_wait *wait, struct error *error)
{
	PGresult *rows = NULL;
	char *ceilings = pg_text_array(question->ceilings, (size_t)question->count);
	char *keys = pg_text_array(question->keys, (size_t)question->count);
	enum result result =
	    pg_run(pg, JOB_QUERY_MS, &rows, error, take_sql, pg_text(job->name), pg_int(job->fence),
		pg_text(directory), pg_text(job->lane), pg_text(job->turn_at[0] ? job->turn_at : NULL),
		pg_text(ceilings), pg_text(keys), pg_text(question->numbers[0]),
		pg_text(question->numbers[1]), pg_text(question->numbers[2]), pg_text(question->numbers[3]));
	free(ceilings);
	free(keys);
	if (result != R_OK)
		return result;
	if (!pg_get(rows, 0, 0))
		result = R_LOST;
	else if (!pg_get_bool(rows, 0, 0)) {
		wait->ms = pg_get_int(rows, 0, 2);
		describe(wait, budget, pg_get(rows, 0, 1), job->name, pg_get(rows, 0, 3));
		result = R_LIMIT;
	}
	PQclear(rows);
	return result;
}

enum result budget_take(struct pg *pg, const struct ceilings *budget, const char *directory,
    const struct job *job, struct job_wait *wait, struct error *error)
{
	struct question question = {.count = 0};
	add(&question, budget, BUDGET_ORDERS, job->name, job->lane, true);
	add(&question, budget, BUDGET_DOMAIN, job->name, job->lane, true);
	add(&question, budget, BUDGET_EXACT, job->name, job->lane, true);
	add(&question, budget, BUDGET_FAILURES, job->name, job->lane, false);
	close_lists(&question);
	return ask(pg, budget, directory, &question, job, wait, error);
}

/* Nobody's job, which fence 0 says. */
static const struct job no_job = {.lane = "urgent", .turn_at = "-infinity"};

enum result budget_take_account(struct pg *pg, const struct ceilings *budget, const char *directory,
    bool take, struct job_wait *wait, struct error *error)
{
	struct question question = {.count = 0};
	add(&question, budget, BUDGET_ACCOUNTS, "", no_job.lane, take);
	close_lists(&question);
	return ask(pg, budget, directory, &question, &no_job, wait, error);
}

enum result budget_count_failure(struct pg *pg, const struct ceilings *budget, const char *directory,
    const char *name, struct error *error)
{
	struct question question = {.count = 0};
	struct job_wait wait;
	if (budget->rules[BUDGET_FAILURES].count == 0)
		return R_OK;
	add(&question, budget, BUDGET_FAILURES, name, no_job.lane, true);
	close_lists(&question);
	enum result result = ask(pg, budget, directory, &question, &no_job, &wait, error);
	return result == R_LIMIT ? R_OK : result;
}

/* ---- what the CA's answers change ---- */

static enum result give_back(struct pg *pg, const char *directory, const enum budget_ceiling *which,
    size_t count, const char *name, struct error *error)
{
	const char *ceilings[BUDGET_CEILINGS];
	const char *keys[BUDGET_CEILINGS];
	for (size_t i = 0; i < count; i++) {
		ceilings[i] = ceiling_name(which[i]);
		keys[i] = key_of(which[i], name);
	}
	char *ceilings_text = pg_text_array(ceilings, count);
	char *keys_text = pg_text_array(keys, count);
	enum result result =
	    pg_run(pg, JOB_QUERY_MS, NULL, error, "SELECT budget_give_back($1, $2::text[], $3::text[])",
		pg_text(directory), pg_text(ceilings_text), pg_text(keys_text));
	free(ceilings_text);
	free(keys_text);
	return result;
}

enum result budget_refund_order(struct pg *pg, const char *directory, const char *name, struct error *error)
{
	static const enum budget_ceiling all[] = {BUDGET_ORDERS, BUDGET_DOMAIN, BUDGET_EXACT};
	return give_back(pg, directory, all, sizeof all / sizeof *all, name, error);
}

enum result budget_refund_certificate(
    struct pg *pg, const char *directory, const char *name, struct error *error)
{
	static const enum budget_ceiling issued[] = {BUDGET_DOMAIN, BUDGET_EXACT};
	return give_back(pg, directory, issued, sizeof issued / sizeof *issued, name, error);
}

/* Boulder's words; other CAs use others, or none. */
static enum budget_ceiling ceiling_of_words(const char *detail, bool *is_clear)
{
	static const struct {
		const char *words;
		enum budget_ceiling ceiling;
	} known[] = {
	    {"exact set of", BUDGET_EXACT},
	    {"failed authorizations", BUDGET_FAILURES},
	    {"consecutive", BUDGET_FAILURES},
	    {"new registrations", BUDGET_ACCOUNTS},
	    {"new orders", BUDGET_ORDERS},
	    {"certificates", BUDGET_DOMAIN},
	};
	*is_clear = true;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcasestr(detail, known[i].words))
			return known[i].ceiling;
	*is_clear = false;
	return BUDGET_ORDERS;
}

static enum result block(struct pg *pg, const char *directory, enum budget_ceiling ceiling, const char *name,
    int64_t seconds, struct error *error)
{
	return pg_run(pg, JOB_QUERY_MS, NULL, error, "SELECT budget_block($1, $2, $3, $4::bigint)",
	    pg_text(directory), pg_text(ceiling_name(ceiling)), pg_text(key_of(ceiling, name)),
	    pg_int(seconds));
}

enum result budget_learn(struct pg *pg, const char *directory, const char *name,
    const struct acme_failure *failure, struct error *error)
{
	if (failure->cause != CAUSE_RATE_LIMITED || failure->retry_after <= 0)
		return R_OK;
	bool is_clear = false;
	enum budget_ceiling ceiling = ceiling_of_words(failure->detail, &is_clear);
	int64_t seconds = failure->retry_after;
	if (!is_clear && seconds > UNCLEAR_BLOCK_S)
		seconds = UNCLEAR_BLOCK_S;
	return block(pg, directory, ceiling, name, seconds, error);
}

enum result budget_learn_account(
    struct pg *pg, const char *directory, const struct acme_failure *failure, struct error *error)
{
	if (failure->cause != CAUSE_RATE_LIMITED || failure->retry_after <= 0)
		return R_OK;
	return block(pg, directory, BUDGET_ACCOUNTS, "", failure->retry_after, error);
}

enum result budget_sweep(struct pg *pg, struct error *error)
{
	return pg_query(pg, JOB_QUERY_MS, NULL, error,
	    "DELETE FROM ca_budget WHERE (directory, ceiling, key) IN (SELECT directory, ceiling, key FROM"
	    " ca_budget WHERE full_at <= now() ORDER BY full_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
	    NULL, 0);
}
