#include "acme/preflight.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/caa.h"
#include "acme/jws.h"
#include "acme/persist_record.h"
#include "acme/persist_watch.h"
#include "acme/self_fetch.h"
#include "common/clock.h"
#include "common/delegation.h"
#include "common/dns/routing_check.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/process.h"

enum { NOTE_SIZE = 400, TOKEN_BYTES = 16, TOKEN_SIZE = 2 * TOKEN_BYTES + 16, TOKEN_LIFE_S = 30 };

enum {
	NAME_A,
	NAME_AAAA,
	TARGET_A,
	TARGET_AAAA,
	PERSIST,
	DELEGATION,
	CAA_FIRST,
	QUESTIONS = CAA_FIRST + CAA_CLIMB_MAX
};

struct preflight {
	struct preflight_config config;
	/* Somebody beyond our own network has answered a request of ours: silence is the address's doing. */
	atomic_bool has_egress;
	struct metric *passed, *stopped, *unknown;
	struct histogram *duration;
};

/* One look at a name. */
struct look {
	struct preflight *preflight;
	const struct preflight_asker *asker;
	char target[HOSTNAME_MAX + 1]; /* "": there is none */
	char persist_name[HOSTNAME_MAX + 1];
	char delegated_name[HOSTNAME_MAX + 1];
	const char *climb[CAA_CLIMB_MAX];
	size_t climb_count;
	struct resolver_question questions[QUESTIONS];
	struct resolver_answer answers[QUESTIONS];
	size_t count;
	char note[NOTE_SIZE];
	struct acme_failure *failure;
	struct error *error;
};

struct preflight *preflight_new(const struct preflight_config *config)
{
	static const char name[] = "postern_acme_preflights_total";
	struct preflight *preflight = mem_alloc(sizeof *preflight);
	preflight->config = *config;
	preflight->passed =
	    metrics_counter(name, "result=\"passed\"", "Looks before an order, by what they came to.");
	preflight->stopped = metrics_counter(name, "result=\"stopped\"", NULL);
	preflight->unknown = metrics_counter(name, "result=\"unknown\"", NULL);
	preflight->duration = metrics_histogram(
	    "postern_acme_preflight_seconds", NULL, "How long a look before an order took.");
	if (config->is_on && !config->place.target && config->place.apex_count == 0)
		log_info("preflight does not look where names lead: neither saas-root, cname-target nor "
			 "apex-addresses is set");
	return preflight;
}

void preflight_free(struct preflight *preflight)
{
	if (!preflight)
		return;
	lookup_free(preflight->config.lookup);
	our_place_fini(&preflight->config.place);
	free(preflight);
}

/* ---- the questions ---- */

/* A name that no tenant has claimed has no target of its own. */
static enum result choose_target(struct look *look)
{
	const struct our_place *place = &look->preflight->config.place;
	PGresult *rows = NULL;
	if (!place->target)
		return R_OK;
	if (!our_place_has_tenants(place)) {
		our_place_target(place, "", look->target);
		return R_OK;
	}
	enum result result = pg_run(look->asker->pg, JOB_QUERY_MS, &rows, look->error,
	    "SELECT tenant FROM domains WHERE name = $1 AND status IN ('active', 'drifted')",
	    pg_text(look->asker->job->name));
	if (result == R_OK && PQntuples(rows) == 1)
		our_place_target(place, pg_get(rows, 0, 0), look->target);
	PQclear(rows);
	return result;
}

static bool types_have(const struct challenge_types *types, enum acme_challenge_type type)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->list[i] == type)
			return true;
	return false;
}

static bool delegated_name(char out[HOSTNAME_MAX + 1], const char *name)
{
	return snprintf(out, HOSTNAME_MAX + 1, DELEGATION_PREFIX "%s", name) <= HOSTNAME_MAX;
}

/* A question that is not asked is one about the name's addresses again: every place has an answer. */
static void set_questions(struct look *look)
{
	const char *name = look->asker->job->name;
	bool wants_persist = types_have(look->asker->types, ACME_DNS_PERSIST_01) &&
			     persist_record_name(look->persist_name, name) == R_OK;
	const char *target = look->target[0] ? look->target : name;
	look->questions[NAME_A] = (struct resolver_question){name, RESOLVER_A};
	look->questions[NAME_AAAA] = (struct resolver_question){name, RESOLVER_AAAA};
	look->questions[TARGET_A] = (struct resolver_question){target, RESOLVER_A};
	look->questions[TARGET_AAAA] = (struct resolver_question){target, RESOLVER_AAAA};
	look->questions[PERSIST] =
	    (struct resolver_question){wants_persist ? look->persist_name : name, RESOLVER_TXT};
	if (!wants_persist)
		look->persist_name[0] = '\0';
	bool may_delegate = types_have(look->asker->types, ACME_DNS_01) && look->preflight->config.dns_zone &&
			    delegated_name(look->delegated_name, name);
	if (!may_delegate)
		look->delegated_name[0] = '\0';
	look->questions[DELEGATION] = may_delegate
					  ? (struct resolver_question){look->delegated_name, RESOLVER_CNAME}
					  : (struct resolver_question){name, RESOLVER_A};
	look->climb_count = caa_climb(name, look->climb);
	for (size_t i = 0; i < look->climb_count; i++)
		look->questions[CAA_FIRST + i] = (struct resolver_question){look->climb[i], RESOLVER_CAA};
	look->count = CAA_FIRST + look->climb_count;
}

/* ---- the verdicts ---- */

static enum result stop_for(struct look *look, enum acme_cause cause)
{
	acme_failure_set(look->failure, cause, "%s", look->note);
	look->failure->foreseen = true;
	return R_ERROR;
}

static enum result judge_dnssec(struct look *look)
{
	for (size_t i = NAME_A; i <= NAME_AAAA; i++) {
		const struct resolver_answer *answer = &look->answers[i];
		if (answer->outcome != RESOLVER_BOGUS || !lookup_can_validate(look->preflight->config.lookup))
			continue;
		snprintf(look->note, sizeof look->note,
		    "The domain's DNSSEC is broken, and certificate authorities refuse it: %s. Mend it at "
		    "the DNS "
		    "provider, or remove the DS record at the registrar.",
		    answer->detail);
		return stop_for(look, CAUSE_DNS);
	}
	return R_OK;
}

static enum result judge_caa(struct look *look)
{
	const struct caa_asker asker = {
	    .directory = look->asker->directory, .account_url = look->asker->account_url};
	bool methods[ACME_CHALLENGE_TYPES];
	bool any = false;
	enum caa caa = caa_judge(&asker, look->climb, &look->answers[CAA_FIRST], look->climb_count, methods,
	    look->note, sizeof look->note);
	if (caa == CAA_FORBIDDEN)
		return stop_for(look, CAUSE_CAA);
	if (caa == CAA_BOGUS && lookup_can_validate(look->preflight->config.lookup))
		return stop_for(look, CAUSE_DNS);
	for (size_t i = 0; i < look->asker->types->count; i++)
		any = any || methods[look->asker->types->list[i]];
	if (any)
		return R_OK;
	snprintf(look->note, sizeof look->note,
	    "The CAA records of the domain allow none of the validation methods that are used here: remove "
	    "their validationmethods.");
	return stop_for(look, CAUSE_CAA);
}

/* Which issuers the CA will take is in the authorization only: here any will do. */
static bool has_persist_record(const struct look *look)
{
	const struct preflight_asker *asker = look->asker;
	bool is_renewal =
	    strcmp(asker->job->reason, "renewal") == 0 || strcmp(asker->job->reason, "reissue") == 0;
	if (!look->persist_name[0])
		return false;
	struct persist_record record = persist_record_judge(
	    &look->answers[PERSIST], NULL, asker->account_url, false, clock_wall_ms() / 1000);
	if ((record.standing == PERSIST_GOOD || is_renewal) &&
	    persist_watch_note(asker->pg, asker->job->name, asker->account_url, &record, look->error) != R_OK)
		log_warn("cannot note what became of a dns-persist-01 record",
		    log_str("name", asker->job->name), log_str("error", look->error->text));
	return record.standing == PERSIST_GOOD;
}

static bool leads_to_us(
    const struct preflight *preflight, const char *name, const struct resolver_answer *answer)
{
	char label[DELEGATION_LABEL + 1];
	char wanted[DELEGATION_LABEL + 1 + HOSTNAME_MAX + 1];
	delegation_label(label, name);
	snprintf(wanted, sizeof wanted, "%s.%s", label, preflight->config.dns_zone);
	return answer->outcome == RESOLVER_FOUND && answer->count == 1 &&
	       answer->values[0].size == strlen(wanted) &&
	       memcmp(answer->values[0].bytes, wanted, strlen(wanted)) == 0;
}

static bool has_delegation(const struct look *look)
{
	return look->delegated_name[0] &&
	       leads_to_us(look->preflight, look->asker->job->name, &look->answers[DELEGATION]);
}

static bool is_known(const struct resolver_answer *answer)
{
	return answer->outcome != RESOLVER_TEMPORARY && answer->outcome != RESOLVER_BOGUS;
}

/* ---- where it leads ---- */

static enum result publish_token(struct look *look, char token[TOKEN_SIZE], char content[TOKEN_SIZE])
{
	unsigned char random[2 * TOKEN_BYTES];
	PGresult *rows = NULL;
	process_random(random, sizeof random);
	strcpy(token, "preflight-");
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		snprintf(token + 10 + 2 * i, 3, "%02x", random[i]);
		snprintf(content + 2 * i, 3, "%02x", random[TOKEN_BYTES + i]);
	}
	enum result result = pg_run(look->asker->pg, JOB_QUERY_MS, &rows, look->error,
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at)"
	    " SELECT $1, 'http-01', $3, $4, $2::bigint, now() + $5::bigint * interval '1 second'"
	    " WHERE " JOB_IS_OURS " RETURNING id",
	    pg_text(look->asker->job->name), pg_int(look->asker->job->fence), pg_text(token),
	    pg_text(content), pg_int(TOKEN_LIFE_S));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum self_fetch fetch_from(
    struct look *look, const struct resolver_value *address, const char *token, const char *content)
{
	struct preflight *preflight = look->preflight;
	const struct self_fetch_request request = {.name = look->asker->job->name,
	    .address = address,
	    .port = preflight->config.port,
	    .allow_private = preflight->config.allow_private,
	    .token = token,
	    .expected = content};
	enum self_fetch came = self_fetch(&request);
	if (came == SELF_FETCH_US || came == SELF_FETCH_STRANGER)
		atomic_store(&preflight->has_egress, true);
	return came;
}

/* IPv6 first, as CAs do; IPv4 where nobody answers there. The first address of each that is not ours stands
 * for the others. */
static enum result fetch(struct look *look, const struct routing_facts *facts, enum self_fetch *came)
{
	char token[TOKEN_SIZE];
	char content[TOKEN_SIZE];
	const struct resolver_value *const foreign[] = {
	    routing_find(facts, &facts->name_aaaa, false), routing_find(facts, &facts->name_a, false)};
	enum result result = publish_token(look, token, content);
	*came = SELF_FETCH_BARRED;
	for (int i = 0; result == R_OK && i < 2; i++) {
		enum self_fetch one = foreign[i] ? fetch_from(look, foreign[i], token, content) : *came;
		if (one == SELF_FETCH_US || one == SELF_FETCH_STRANGER) {
			*came = one;
			return R_OK;
		}
		if (one == SELF_FETCH_NO_ANSWER)
			*came = one;
	}
	return result;
}

/* Silence where nobody has ever answered may be a firewall of ours. Not so where a record that was forgotten
 * stands beside one that leads here. */
static bool may_be_us(const struct look *look, const struct routing_facts *facts)
{
	return !atomic_load(&look->preflight->has_egress) && !routing_find(facts, &facts->name_a, true) &&
	       !routing_find(facts, &facts->name_aaaa, true);
}

static enum result judge_elsewhere(struct look *look, const struct routing_facts *facts)
{
	enum self_fetch came = SELF_FETCH_BARRED;
	size_t size = strlen(look->note);
	enum result result = fetch(look, facts, &came);
	if (result != R_OK || came == SELF_FETCH_US)
		return result;
	if (came == SELF_FETCH_NO_ANSWER && may_be_us(look, facts))
		return R_NONE;
	snprintf(look->note + size, sizeof look->note - size, " %s",
	    came == SELF_FETCH_STRANGER ? "A request for the challenge that was sent there did not reach us."
	    : came == SELF_FETCH_NO_ANSWER ? "Nobody answers there."
					   : "No certificate authority can reach an address like that.");
	return stop_for(look, CAUSE_DNS);
}

static enum result judge_routing(struct look *look)
{
	const struct our_place *place = &look->preflight->config.place;
	const struct resolver_answer none = {.outcome = RESOLVER_NO_DATA};
	const struct resolver_answer *answers = look->answers;
	bool has_target = look->target[0] != '\0';
	struct routing_facts facts = {.target = look->target,
	    .name_a = answers[NAME_A],
	    .name_aaaa = answers[NAME_AAAA],
	    .target_a = has_target ? answers[TARGET_A] : none,
	    .target_aaaa = has_target ? answers[TARGET_AAAA] : none,
	    .apex = place->apex,
	    .apex_count = place->apex_count};
	bool known = is_known(&answers[NAME_A]) && is_known(&answers[NAME_AAAA]);
	if (known && answers[NAME_A].count + answers[NAME_AAAA].count == 0) {
		snprintf(look->note, sizeof look->note,
		    "The name has no address in DNS: add the record that leads it here.");
		return stop_for(look, CAUSE_DNS);
	}
	if (!has_target && place->apex_count == 0)
		return known ? R_OK : R_NONE;
	switch (routing_check(&facts, look->note, sizeof look->note)) {
	case ROUTING_HERE: return R_OK;
	case ROUTING_ELSEWHERE: return judge_elsewhere(look, &facts);
	case ROUTING_UNKNOWN: break;
	}
	return R_NONE;
}

/* R_NONE: could not be found out. */
static enum result judge(struct look *look)
{
	enum result result = judge_dnssec(look);
	if (result == R_OK)
		result = judge_caa(look);
	if (result != R_OK || has_persist_record(look) || has_delegation(look))
		return result;
	return judge_routing(look);
}

static enum result look_at(struct look *look)
{
	enum result result = choose_target(look);
	if (result != R_OK)
		return result;
	set_questions(look);
	if (lookup_ask(look->preflight->config.lookup, look->asker->job->name, look->questions, look->count,
		look->answers) != R_OK)
		return R_NONE;
	result = judge(look);
	for (size_t i = 0; i < look->count; i++)
		resolver_answer_free(&look->answers[i]);
	return result;
}

enum result preflight_check(struct preflight *preflight, const struct preflight_asker *asker,
    struct acme_failure *failure, struct error *error)
{
	if (!preflight || !preflight->config.is_on)
		return R_OK;
	int64_t start_us = clock_monotonic_us();
	struct look *look = mem_alloc(sizeof *look);
	look->preflight = preflight;
	look->asker = asker;
	look->failure = failure;
	look->error = error;
	enum result result = look_at(look);
	free(look);
	histogram_observe_us(preflight->duration, clock_monotonic_us() - start_us);
	metric_add(result == R_OK                           ? preflight->passed
		   : result == R_ERROR && failure->foreseen ? preflight->stopped
							    : preflight->unknown,
	    1);
	return result == R_NONE ? R_OK : result;
}

struct lookup *preflight_lookup(const struct preflight *preflight)
{
	return preflight->config.lookup;
}

bool preflight_is_delegated(void *arg, const char *name)
{
	struct preflight *preflight = arg;
	char place[HOSTNAME_MAX + 1];
	struct resolver_answer answer;
	if (!preflight->config.dns_zone || !delegated_name(place, name))
		return false;
	const struct resolver_question question = {place, RESOLVER_CNAME};
	if (lookup_ask(preflight->config.lookup, name, &question, 1, &answer) != R_OK)
		return false;
	bool is_ours = leads_to_us(preflight, name, &answer);
	resolver_answer_free(&answer);
	return is_ours;
}

bool preflight_persist_record_seen(
    void *arg, const char *name, const struct acme_issuer_names *issuers, const char *account_url)
{
	struct preflight *preflight = arg;
	char record_name[HOSTNAME_MAX + 1];
	struct resolver_answer answer;
	if (persist_record_name(record_name, name) != R_OK)
		return false;
	const struct resolver_question question = {record_name, RESOLVER_TXT};
	if (lookup_ask(preflight->config.lookup, name, &question, 1, &answer) != R_OK)
		return false;
	struct persist_record record =
	    persist_record_judge(&answer, issuers, account_url, false, clock_wall_ms() / 1000);
	resolver_answer_free(&answer);
	return record.standing == PERSIST_GOOD;
}
