#include "acme/order/authorize.h"

#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/log/log.h"

/* The CA is asked 30 ms after the answer was announced, then at growing pauses. Once an edge has marked the
 * row, EARLY_POLLS more, at short pauses, are worth it whatever Retry-After the authorization came with: the
 * CA's own servers need about as long as we to agree. It is the order that is asked for (it turns ready or
 * invalid with its only authorization, and is needed next anyway) unless that said when to come again, and
 * every AUTHORIZATION_EVERY-th time the authorization, for CAs whose orders lag behind. */
enum {
	POLL_FIRST_MS = 30,
	POLL_SEEN_MS = 3,
	POLL_MAX_MS = 5000,
	POLL_BOUND_MS = 90 * 1000,
	EARLY_POLLS = 7,
	AUTHORIZATION_EVERY = 4,
	/* The row is looked at after a WATCH_PART-th of the time that has passed, for WATCH_MS. */
	WATCH_PART = 8,
	WATCH_MIN_MS = 4,
	WATCH_MAX_MS = 50,
	WATCH_MS = 2000,
};

struct polling {
	int64_t start_ms;
	int64_t next_ms; /* of the next request */
	int pause_ms;
	int count;
	int early;           /* polls that Retry-After does not put off */
	int64_t retry_after; /* seconds, of the last answer; -1: none */
	bool seen;
};

static enum result fetch(
    struct order_run *run, const char *url, struct acme_authorization *out, int64_t *retry_after)
{
	struct acme_response response;
	struct error error = {0};
	acme_response_init(&response);
	enum result result = order_post(run, CA_AUTHORIZATION, url, NULL, &response);
	*retry_after = response.retry_after;
	if (result == R_OK && acme_parse_authorization(
				  out, buf_bytes(&response.body), buf_size(&response.body), &error) != R_OK) {
		acme_failure_set(run->failure, CAUSE_CA, "%s", error.text);
		result = R_ERROR;
	}
	acme_response_fini(&response);
	return result;
}

static void take_problem(struct acme_failure *failure, const struct acme_authorization *authorization)
{
	static const struct acme_problem nothing = {
	    .detail = "the CA refused the validation and did not say why"};
	const struct acme_problem *problem = &nothing;
	for (size_t i = 0; i < authorization->challenge_count; i++)
		if (authorization->challenges[i].problem.detail[0] ||
		    authorization->challenges[i].problem.type[0])
			problem = &authorization->challenges[i].problem;
	acme_failure_of_validation(failure, problem);
}

/* R_AGAIN: still pending. */
static enum result verdict(struct order_run *run, const struct acme_authorization *authorization)
{
	switch (authorization->status) {
	case ACME_VALID: return R_OK;
	case ACME_PENDING:
	case ACME_PROCESSING: return R_AGAIN;
	case ACME_INVALID: take_problem(run->failure, authorization); return R_ERROR;
	default: return R_NONE;
	}
}

enum result authorize_end(struct order_run *run, const char *url)
{
	struct acme_response response;
	acme_response_init(&response);
	enum result result = order_post(run, CA_DEACTIVATE, url, "{\"status\":\"deactivated\"}", &response);
	acme_response_fini(&response);
	return result;
}

/* Best effort, after a failure that stays the failure. */
static void deactivate(struct order_run *run, const char *url)
{
	struct acme_failure reason = *run->failure;
	authorize_end(run, url);
	*run->failure = reason;
}

static enum result publish(struct order_run *run, const struct acme_challenge *challenge, int64_t *row)
{
	char key_authorization[JWS_KEY_AUTHORIZATION_SIZE];
	enum result result =
	    jws_key_authorization(key_authorization, challenge->token, run->account.thumbprint);
	if (result != R_OK)
		return order_fail(run, CAUSE_CA, "a challenge's token is not base64url");
	return order_judge_query(
	    run, challenge_publish(run->tools->pg, run->job, challenge, key_authorization, row, run->error));
}

/* The row first, then the word to the CA: its look-up may come before our POST returns. */
static enum result answer(struct order_run *run, const struct acme_challenge *challenge, int64_t *row)
{
	enum result result = challenge_is_published(challenge->type) ? publish(run, challenge, row) : R_OK;
	if (result != R_OK || challenge->status != ACME_PENDING)
		return result;

	struct acme_response response;
	acme_response_init(&response);
	result = order_post(run, CA_CHALLENGE, challenge->url, "{}", &response);
	acme_response_fini(&response);
	/* Lost, or refused as answered already (Let's Encrypt leaves a challenge pending while it validates,
	 * and says 409 to a second answer): what came of it is in the authorization. */
	if (result == R_ERROR && (run->failure->cause == CAUSE_NETWORK || run->failure->status == 400 ||
				     run->failure->status == 409))
		result = R_OK;
	return result;
}

static enum result watch_row(struct order_run *run, struct polling *polling, int64_t row, int64_t now)
{
	if (polling->seen || now - polling->start_ms > WATCH_MS)
		return R_OK;
	int64_t begun_us = clock_monotonic_us();
	enum result result =
	    order_judge_query(run, challenge_is_seen(run->tools->pg, row, &polling->seen, run->error));
	run->waited_us += clock_monotonic_us() - begun_us;
	if (result != R_OK || !polling->seen)
		return result;
	polling->early = EARLY_POLLS;
	polling->pause_ms = POLL_SEEN_MS;
	if (polling->next_ms > now + POLL_SEEN_MS)
		polling->next_ms = now + POLL_SEEN_MS;
	return R_OK;
}

static void plan_next(struct polling *polling, int64_t now, int64_t retry_after)
{
	int64_t pause = polling->pause_ms;
	polling->retry_after = retry_after;
	polling->pause_ms = polling->pause_ms * 2 < POLL_MAX_MS ? polling->pause_ms * 2 : POLL_MAX_MS;
	if (polling->early > 0)
		polling->early--;
	else if (retry_after * 1000 > pause)
		pause = retry_after * 1000;
	polling->next_ms = now + pause;
}

static int sleep_ms(const struct polling *polling, int64_t now)
{
	int64_t left = polling->next_ms > now ? polling->next_ms - now : 0;
	int64_t waited = now - polling->start_ms;
	int64_t bound = POLL_MAX_MS;
	if (!polling->seen && waited <= WATCH_MS) {
		bound = waited / WATCH_PART < WATCH_MAX_MS ? waited / WATCH_PART : WATCH_MAX_MS;
		bound = bound > WATCH_MIN_MS ? bound : WATCH_MIN_MS;
	}
	return (int)(left < bound ? left : bound);
}

/* R_AGAIN: still pending. */
static enum result verdict_of_order(struct order_run *run, const char *url)
{
	if (run->order.status == ACME_PENDING)
		return R_AGAIN;
	if (run->order.status != ACME_INVALID)
		return R_OK;
	enum result result = authorize_find_problem(run, url, run->failure);
	if (result == R_NONE)
		acme_failure_of_validation(run->failure, &run->order.problem);
	return result == R_OK || result == R_NONE ? R_ERROR : result;
}

/* One request. *decided: the result is the CA's verdict. */
static enum result look(struct order_run *run, const char *url, struct polling *polling, bool *decided)
{
	struct acme_authorization authorization;
	int64_t retry_after = -1;
	bool at_order =
	    ++polling->count % AUTHORIZATION_EVERY != 0 && clock_monotonic_ms() >= run->order_from_ms;
	enum result result = at_order ? order_fetch(run) : fetch(run, url, &authorization, &retry_after);
	if (result != R_OK)
		return result;
	plan_next(polling, clock_monotonic_ms(), at_order ? run->retry_after : retry_after);
	result = at_order ? verdict_of_order(run, url) : verdict(run, &authorization);
	*decided = result != R_AGAIN;
	return *decided ? result : R_OK;
}

static enum result await(struct order_run *run, const char *url, int64_t row)
{
	bool decided = false;
	/* Without a row there is no edge whose answer could be seen. */
	struct polling polling = {
	    .start_ms = clock_monotonic_ms(), .pause_ms = POLL_FIRST_MS, .seen = row == 0};
	polling.next_ms = polling.start_ms + POLL_FIRST_MS;
	for (int64_t now = polling.start_ms; now - polling.start_ms <= POLL_BOUND_MS;
	     now = clock_monotonic_ms()) {
		enum result result = watch_row(run, &polling, row, now);
		if (result == R_OK && now >= polling.next_ms)
			result = look(run, url, &polling, &decided);
		if (result == R_OK && !decided)
			result = order_pause(run, sleep_ms(&polling, clock_monotonic_ms()));
		if (result != R_OK || decided)
			return result;
	}
	acme_failure_set(run->failure, CAUSE_CA, "the CA did not decide about the challenge within 90 s");
	if (polling.retry_after > 0)
		run->failure->retry_after = polling.retry_after;
	deactivate(run, url);
	return R_ERROR;
}

/* RFC 8555 section 7.1.4: that of a wildcard names what it stands under, and says so. */
static bool is_of(const struct acme_authorization *authorization, const char *name)
{
	return authorization->wildcard == hostname_is_wildcard(name) &&
	       strcasecmp(authorization->name, hostname_base(name)) == 0;
}

enum result authorize(struct order_run *run, const char *url)
{
	struct acme_authorization authorization;
	int64_t retry_after = -1;
	int64_t row = 0;
	enum result result = fetch(run, url, &authorization, &retry_after);
	if (result != R_OK)
		return result;
	if (!is_of(&authorization, run->job->name)) {
		acme_failure_set(run->failure, CAUSE_CA, "the authorization is for %s%s",
		    authorization.wildcard ? "*." : "", authorization.name);
		return R_ERROR;
	}
	result = verdict(run, &authorization);
	if (result != R_AGAIN)
		return result;

	result = order_find_methods(run);
	if (result != R_OK)
		return result;
	const struct challenge_question question = {.name = run->job->name,
	    .types = run->tools->types,
	    .allowed = run->methods,
	    .attempts = run->job->attempts,
	    .context = &run->tools->challenge_context,
	    .account_url = run->account.url};
	const struct acme_challenge *challenge = challenge_choose(&authorization, &question);
	if (!challenge) {
		acme_failure_set(run->failure, CAUSE_REJECTED,
		    "the CA offers no challenge of challenge-types that can be answered for this name");
		deactivate(run, url);
		return R_ERROR;
	}
	log_debug("challenge chosen", log_str("name", run->job->name),
	    log_str("type", acme_challenge_name(challenge->type)));
	run->has_order = false;
	result = answer(run, challenge, &row);
	if (result == R_OK)
		result = await(run, url, row);
	if (result == R_OK)
		return order_judge_query(run, challenge_retire(run->tools->pg, run->job, run->error));
	if (result == R_NONE || result == R_ERROR)
		challenge_retire(run->tools->pg, run->job, NULL);
	return result;
}

enum result authorize_find_problem(struct order_run *run, const char *url, struct acme_failure *failure)
{
	struct acme_authorization authorization;
	int64_t retry_after = -1;
	enum result result = fetch(run, url, &authorization, &retry_after);
	if (result != R_OK)
		return result == R_ERROR ? R_NONE : result;
	if (authorization.status != ACME_INVALID)
		return R_NONE;
	take_problem(failure, &authorization);
	return R_OK;
}
