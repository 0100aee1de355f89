#include "acme/preflight/preflight.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/preflight/preflight_look.h"
#include "acme/proof/persist_watch.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

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
	our_place_fini(&preflight->config.place);
	free(preflight);
}

/* ---- the questions ---- */

static bool types_have(const struct preflight_look *look, enum acme_challenge_type type)
{
	const struct challenge_types *types = look->asker->types;
	for (size_t i = 0; i < types->count; i++)
		if (types->list[i] == type)
			return true;
	return false;
}

static void set_caa_questions(struct preflight_look *look, size_t first)
{
	look->climb_count = caa_climb(look->base, look->climb);
	for (size_t i = 0; i < look->climb_count; i++)
		look->questions[first + i] = (struct resolver_question){look->climb[i], RESOLVER_CAA};
	look->count = first + look->climb_count;
}

/* A question that is not asked is one about the name's addresses again: every place has an answer. */
static void set_questions(struct preflight_look *look)
{
	const char *base = look->base;
	bool wants_persist =
	    types_have(look, ACME_DNS_PERSIST_01) && persist_record_name(look->persist_name, base) == R_OK;
	const char *target = look->target[0] ? look->target : base;
	look->questions[NAME_A] = (struct resolver_question){base, RESOLVER_A};
	look->questions[NAME_AAAA] = (struct resolver_question){base, RESOLVER_AAAA};
	look->questions[TARGET_A] = (struct resolver_question){target, RESOLVER_A};
	look->questions[TARGET_AAAA] = (struct resolver_question){target, RESOLVER_AAAA};
	look->questions[PERSIST] =
	    (struct resolver_question){wants_persist ? look->persist_name : base, RESOLVER_TXT};
	if (!wants_persist)
		look->persist_name[0] = '\0';
	bool may_delegate = types_have(look, ACME_DNS_01) && look->preflight->config.dns_zone &&
			    dns_proof_delegation_name(look->delegated_name, base);
	if (!may_delegate)
		look->delegated_name[0] = '\0';
	look->questions[DELEGATION] = may_delegate
					  ? (struct resolver_question){look->delegated_name, RESOLVER_CNAME}
					  : (struct resolver_question){base, RESOLVER_A};
	set_caa_questions(look, CAA_FIRST);
}

/* ---- the verdicts ---- */

enum result preflight_stop_for(struct preflight_look *look, enum acme_cause cause)
{
	acme_failure_set(look->failure, cause, "%s", look->note);
	look->failure->foreseen = true;
	return R_ERROR;
}

static enum result judge_dnssec(struct preflight_look *look)
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
		return preflight_stop_for(look, CAUSE_DNS);
	}
	return R_OK;
}

static_assert((int)ACME_CHALLENGE_TYPES <= (int)CAA_METHODS_MAX, "a method is a challenge's type");

static void read_caa(struct preflight_look *look, size_t first)
{
	const struct acme_directory *directory = look->asker->directory;
	const char *identities[ACME_CAA_IDENTITIES_MAX], *methods[ACME_CHALLENGE_TYPES];
	for (size_t i = 0; i < directory->caa_identity_count; i++)
		identities[i] = directory->caa_identities[i];
	for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
		methods[type] = acme_challenge_name((enum acme_challenge_type)type);
	const struct caa_asker asker = {.identities = identities,
	    .identity_count = directory->caa_identity_count,
	    .account_url = look->asker->account_url,
	    .methods = methods,
	    .method_count = ACME_CHALLENGE_TYPES,
	    .is_wildcard = hostname_is_wildcard(look->name)};
	caa_judge(&look->caa, &asker, look->climb, &look->answers[first], look->climb_count);
}

static enum result judge_caa(struct preflight_look *look)
{
	read_caa(look, CAA_FIRST);
	snprintf(look->note, sizeof look->note, "%s", look->caa.note);
	if (look->caa.caa == CAA_FORBIDDEN)
		return preflight_stop_for(look, CAUSE_CAA);
	if (look->caa.caa == CAA_BOGUS && lookup_can_validate(look->preflight->config.lookup))
		return preflight_stop_for(look, CAUSE_DNS);
	return R_OK;
}

/* Which issuers the CA will take is in the authorization only: here any will do. */
static bool has_persist_record(const struct preflight_look *look)
{
	const struct preflight_asker *asker = look->asker;
	if (!look->persist_name[0])
		return false;
	struct persist_record record =
	    dns_proof_judge_persist(look->name, &look->answers[PERSIST], NULL, asker->account_url);
	if ((record.standing == PERSIST_GOOD || job_is_renewal(asker->job)) &&
	    persist_watch_note(asker->pg, look->name, asker->account_url, &record, look->error) != R_OK)
		log_warn("cannot note what became of a dns-persist-01 record", log_str("name", look->name),
		    log_str("error", look->error->text));
	return record.standing == PERSIST_GOOD;
}

static bool has_delegation(const struct preflight_look *look)
{
	return look->delegated_name[0] &&
	       dns_proof_is_target(look->preflight->config.dns_zone, look->name, &look->answers[DELEGATION]);
}

static bool is_unknown(const struct resolver_answer *answer)
{
	return answer->outcome == RESOLVER_TEMPORARY || answer->outcome == RESOLVER_BOGUS;
}

/* Goes on with the note; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) static void say(struct preflight_look *look, const char *format, ...)
{
	size_t size = strlen(look->note);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(look->note + size, sizeof look->note - size, format, arguments);
	va_end(arguments);
}

static void name_records(struct preflight_look *look)
{
	const struct acme_directory *directory = look->asker->directory;
	char target[DNS_PROOF_TARGET_SIZE];
	say(look, ". Add");
	if (look->persist_name[0])
		say(look, " the TXT record %s \"%s; accounturi=%s%s\"", look->persist_name,
		    directory->caa_identity_count > 0 ? directory->caa_identities[0] : "<name of the CA>",
		    look->asker->account_url, hostname_is_wildcard(look->name) ? "; policy=wildcard" : "");
	if (look->persist_name[0] && look->delegated_name[0])
		say(look, ", or");
	if (look->delegated_name[0]) {
		dns_proof_delegation_target(target, look->preflight->config.dns_zone, look->name);
		say(look, " the CNAME record %s to %s", look->delegated_name, target);
	}
	say(look, ".");
}

/* Nothing else can prove it, so here what is not seen stops the order: the CA sees as little. */
static enum result want_proof(struct preflight_look *look)
{
	bool may_persist = look->persist_name[0] != '\0';
	bool may_delegate = look->delegated_name[0] != '\0';
	say(look, "%s can be validated by DNS alone", look->name);
	if (!may_persist && !may_delegate) {
		say(look, ", and neither dns-persist-01 nor dns-01 with dns-zone is among challenge-types.");
		return preflight_stop_for(look, CAUSE_REJECTED);
	}
	if ((may_persist && is_unknown(&look->answers[PERSIST])) ||
	    (may_delegate && is_unknown(&look->answers[DELEGATION])))
		say(look, ", and the DNS servers of %s do not answer well.", look->base);
	else
		name_records(look);
	return preflight_stop_for(look, CAUSE_DNS);
}

static void list_methods(const bool methods[ACME_CHALLENGE_TYPES], char *out, size_t size)
{
	size_t at = 0;
	out[0] = '\0';
	for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
		if (methods[type] && at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "," : "",
			    acme_challenge_name((enum acme_challenge_type)type));
}

/* RFC 8657 section 4. None of the methods that the records allow is ready for this name. `seen`: which have
 * their proof in DNS. */
static enum result want_method(struct preflight_look *look, const bool seen[ACME_CHALLENGE_TYPES])
{
	bool wanted[ACME_CHALLENGE_TYPES] = {false};
	char there[80];
	char missing[80];
	for (int i = 0; i < ACME_CHALLENGE_TYPES; i++) {
		enum acme_challenge_type type = (enum acme_challenge_type)i;
		bool is_ready = challenge_needs_reach(type) ? !hostname_is_wildcard(look->name) : seen[i];
		wanted[i] = is_ready && types_have(look, type);
	}
	list_methods(look->caa.methods, there, sizeof there);
	list_methods(wanted, missing, sizeof missing);
	snprintf(look->note, sizeof look->note,
	    "The CAA records of %s allow validation by %s alone, which cannot be done for this name: add one "
	    "of %s "
	    "to validationmethods there, or take validationmethods out.",
	    look->caa.place, there, missing);
	return preflight_stop_for(look, CAUSE_CAA);
}

static bool may_use(const struct preflight_look *look, enum acme_challenge_type type)
{
	return types_have(look, type) && look->caa.methods[type];
}

/* R_NONE: could not be found out. */
static enum result judge(struct preflight_look *look)
{
	enum result result = judge_dnssec(look);
	if (result == R_OK)
		result = judge_caa(look);
	if (result != R_OK)
		return result;
	const bool seen[ACME_CHALLENGE_TYPES] = {
	    [ACME_DNS_PERSIST_01] = has_persist_record(look), [ACME_DNS_01] = has_delegation(look)};
	if ((seen[ACME_DNS_PERSIST_01] && may_use(look, ACME_DNS_PERSIST_01)) ||
	    (seen[ACME_DNS_01] && may_use(look, ACME_DNS_01)))
		return R_OK;
	bool may_reach = !hostname_is_wildcard(look->name) &&
			 (types_have(look, ACME_TLS_ALPN_01) || types_have(look, ACME_HTTP_01));
	if (!may_reach && !seen[ACME_DNS_PERSIST_01] && !seen[ACME_DNS_01])
		return want_proof(look);
	if (!may_reach || (!may_use(look, ACME_TLS_ALPN_01) && !may_use(look, ACME_HTTP_01)))
		return want_method(look, seen);
	return preflight_judge_route(look);
}

static enum result ask(struct preflight_look *look)
{
	return lookup_ask(
	    look->preflight->config.lookup, look->base, look->questions, look->count, look->answers);
}

static void forget_answers(struct preflight_look *look)
{
	for (size_t i = 0; i < look->count; i++)
		resolver_answer_free(&look->answers[i]);
}

/* Without DNS a wildcard has no challenge to take. */
static enum result is_unreachable(struct preflight_look *look)
{
	if (!hostname_is_wildcard(look->name))
		return R_NONE;
	say(look, "%s can be validated by DNS alone, which cannot be asked from here now; see dns-servers.",
	    look->name);
	return preflight_stop_for(look, CAUSE_NETWORK);
}

static enum result look_at(struct preflight_look *look)
{
	enum result result = preflight_choose_target(look);
	if (result != R_OK)
		return result;
	set_questions(look);
	if (ask(look) != R_OK)
		return is_unreachable(look);
	result = judge(look);
	forget_answers(look);
	return result;
}

static struct preflight_look *look_new(struct preflight *preflight, const struct preflight_asker *asker,
    struct acme_failure *failure, struct error *error)
{
	struct preflight_look *look = mem_alloc(sizeof *look);
	look->preflight = preflight;
	look->asker = asker;
	look->name = asker->job->name;
	look->base = hostname_base(look->name);
	look->failure = failure;
	look->error = error;
	for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
		look->caa.methods[type] = true;
	return look;
}

static void take_methods(struct preflight_look *look, bool methods[ACME_CHALLENGE_TYPES])
{
	memcpy(methods, look->caa.methods, ACME_CHALLENGE_TYPES * sizeof *methods);
	free(look);
}

enum result preflight_check(struct preflight *preflight, const struct preflight_asker *asker,
    bool methods[ACME_CHALLENGE_TYPES], struct acme_failure *failure, struct error *error)
{
	int64_t start_us = clock_monotonic_us();
	struct preflight_look *look = look_new(preflight, asker, failure, error);
	bool wants_look = preflight->config.is_on || hostname_is_wildcard(look->name);
	enum result result = wants_look ? look_at(look) : R_OK;
	take_methods(look, methods);
	if (!wants_look)
		return R_OK;
	histogram_observe_us(preflight->duration, clock_monotonic_us() - start_us);
	metric_add(result == R_OK                           ? preflight->passed
		   : result == R_ERROR && failure->foreseen ? preflight->stopped
							    : preflight->unknown,
	    1);
	return result == R_NONE ? R_OK : result;
}

void preflight_find_methods(
    struct preflight *preflight, const struct preflight_asker *asker, bool methods[ACME_CHALLENGE_TYPES])
{
	struct acme_failure ignored;
	struct error error;
	struct preflight_look *look = look_new(preflight, asker, &ignored, &error);
	set_caa_questions(look, 0);
	if (preflight->config.is_on && ask(look) == R_OK) {
		read_caa(look, 0);
		forget_answers(look);
	}
	/* What forbids the CA now is for the CA to say: the order is placed. */
	if (look->caa.caa != CAA_ALLOWED)
		for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
			look->caa.methods[type] = true;
	take_methods(look, methods);
}
