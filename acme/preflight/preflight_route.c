/*
 * Where does the name lead? Its addresses against ours, and, where it leads elsewhere, a request that is sent
 * there as a CA sends it. See preflight_look.h.
 */
#include <stdio.h>
#include <string.h>

#include "acme/preflight/preflight_look.h"
#include "acme/preflight/self_fetch.h"
#include "common/base/process.h"
#include "common/dns/routing_check.h"

enum { TOKEN_BYTES = 16, TOKEN_SIZE = 2 * TOKEN_BYTES + 16, TOKEN_LIFE_S = 30 };

/* A name that no tenant has claimed has no target of its own. */
enum result preflight_choose_target(struct preflight_look *look)
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
	    pg_text(look->name));
	if (result == R_OK && PQntuples(rows) == 1)
		our_place_target(place, pg_get(rows, 0, 0), look->target);
	PQclear(rows);
	return result;
}

static bool is_known(const struct resolver_answer *answer)
{
	return answer->outcome != RESOLVER_TEMPORARY && answer->outcome != RESOLVER_BOGUS;
}

static enum result publish_token(
    struct preflight_look *look, char token[TOKEN_SIZE], char content[TOKEN_SIZE])
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
	    pg_text(look->name), pg_int(look->asker->job->fence), pg_text(token), pg_text(content),
	    pg_int(TOKEN_LIFE_S));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum self_fetch fetch_from(
    struct preflight_look *look, const struct resolver_value *address, const char *token, const char *content)
{
	struct preflight *preflight = look->preflight;
	const struct self_fetch_request request = {.name = look->name,
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
static enum result fetch(
    struct preflight_look *look, const struct routing_facts *facts, enum self_fetch *came)
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
static bool may_be_us(const struct preflight_look *look, const struct routing_facts *facts)
{
	return !atomic_load(&look->preflight->has_egress) && !routing_find(facts, &facts->name_a, true) &&
	       !routing_find(facts, &facts->name_aaaa, true);
}

static enum result judge_elsewhere(struct preflight_look *look, const struct routing_facts *facts)
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
	return preflight_stop_for(look, CAUSE_DNS);
}

enum result preflight_judge_route(struct preflight_look *look)
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
		return preflight_stop_for(look, CAUSE_DNS);
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
