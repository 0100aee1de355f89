#include "verifier/claim/domain_check.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "verifier/claim/records.h"

/* What a stored check keeps of what was found: more is of no use to anybody. */
enum { KEPT_VALUES = 16, KEPT_TEXT = 600 };

/* RIVAL_TXT is asked for only where the name is somebody else's. */
enum lookup { TXT, NAME_A, NAME_AAAA, TARGET_A, TARGET_AAAA, RIVAL_TXT, LOOKUPS };

struct domain_check {
	const struct config *config;
	struct domain_claim claim;
	struct record record, rival; /* the TXT records */
	int lookups;
	char target[HOSTNAME_MAX + 1];
	struct resolver_query *queries[LOOKUPS]; /* NULL once it is finished */
	struct resolver_answer answers[LOOKUPS];
	int64_t started_ms;
};

struct domain_check *domain_check_start(
    struct resolver *resolver, const struct config *config, const struct domain_claim *claim)
{
	struct domain_check *check = mem_alloc(sizeof *check);
	check->config = config;
	check->claim = *claim;
	check->started_ms = clock_monotonic_ms();
	records_txt(
	    config, records_label(config, claim->txt_label), claim->name, claim->token, &check->record);
	records_txt(config, records_label(config, claim->rival.txt_label), claim->name, claim->rival.token,
	    &check->rival);
	check->lookups = claim->rival.id ? LOOKUPS : RIVAL_TXT;
	our_place_target(&config->place, claim->tenant, check->target);
	const struct resolver_question questions[LOOKUPS] = {
	    [TXT] = {check->record.name, RESOLVER_TXT},
	    [NAME_A] = {claim->name, RESOLVER_A},
	    [NAME_AAAA] = {claim->name, RESOLVER_AAAA},
	    [TARGET_A] = {check->target, RESOLVER_A},
	    [TARGET_AAAA] = {check->target, RESOLVER_AAAA},
	    [RIVAL_TXT] = {check->rival.name, RESOLVER_TXT},
	};
	resolver_start(resolver, claim->name, questions, (size_t)check->lookups, check->queries);
	return check;
}

bool domain_check_is_done(const struct domain_check *check)
{
	for (int i = 0; i < check->lookups; i++)
		if (!resolver_is_done(check->queries[i]))
			return clock_monotonic_ms() - check->started_ms >= RESOLVER_DEADLINE_MS;
	return true;
}

const struct domain_claim *domain_check_claim(const struct domain_check *check)
{
	return &check->claim;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In an order of their own: servers turn theirs around from one answer to the next. Takes the texts. */
static void add_sorted(json_t *list, char **texts, size_t count)
{
	qsort(texts, count, sizeof *texts, compare_texts);
	for (size_t i = 0; i < count; i++) {
		if (i < KEPT_VALUES)
			json_array_append_new(list, json_string(texts[i]));
		free(texts[i]);
	}
	free(texts);
}

static json_t *found_strings(const struct resolver_answer *answer)
{
	json_t *list = json_array();
	char **texts = mem_alloc_array(answer->count + 1, sizeof *texts);
	for (size_t i = 0; i < answer->count; i++) {
		char text[KEPT_TEXT];
		txt_value_text(&answer->values[i], text, sizeof text);
		texts[i] = mem_string(text);
	}
	add_sorted(list, texts, answer->count);
	return list;
}

static void add_addresses(json_t *list, const struct resolver_answer *answer)
{
	char **texts = mem_alloc_array(answer->count + 1, sizeof *texts);
	for (size_t i = 0; i < answer->count; i++) {
		char text[INET6_ADDRSTRLEN];
		const struct resolver_value *value = &answer->values[i];
		inet_ntop(value->size == 4 ? AF_INET : AF_INET6, value->bytes, text, sizeof text);
		texts[i] = mem_string(text);
	}
	add_sorted(list, texts, answer->count);
}

static char *found_json(const struct domain_check *check)
{
	const struct resolver_answer *answers = check->answers;
	json_t *addresses = json_array();
	add_addresses(addresses, &answers[NAME_A]);
	add_addresses(addresses, &answers[NAME_AAAA]);
	json_t *found = json_pack("{s:s, s:o, s:o}", "txt_name", check->record.name, "txt",
	    found_strings(&answers[TXT]), "addresses", addresses);
	const char *alias =
	    answers[NAME_A].canonical[0] ? answers[NAME_A].canonical : answers[NAME_AAAA].canonical;
	if (alias[0])
		json_object_set_new(found, "alias_of", json_string(alias));
	if (answers[TXT].secure)
		json_object_set_new(found, "dnssec", json_true());
	char *text = json_dumps(found, JSON_COMPACT);
	json_decref(found);
	return text;
}

static void count_outcome(enum txt_outcome outcome)
{
	char label[40];
	snprintf(label, sizeof label, "outcome=\"%s\"", txt_outcome_name(outcome));
	metric_add(metrics_counter(
		       "postern_verifier_checks_total", label, "Checks of domains by what they came to."),
	    1);
}

static void digest(const struct domain_check *check, struct domain_verdict *verdict)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char *text = mem_format("%d %d %d %d %d %s", verdict->txt, verdict->routing, verdict->rival,
	    check->answers[NAME_A].outcome, check->answers[NAME_AAAA].outcome, verdict->found);
	SHA256((const unsigned char *)text, strlen(text), hash);
	for (size_t i = 0; i < DOMAIN_BASIS / 2; i++)
		snprintf(verdict->basis + 2 * i, 3, "%02x", hash[i]);
	free(text);
}

static void judge(const struct domain_check *check, struct domain_verdict *verdict)
{
	char txt[1000], routing[300];
	const struct domain_sight sight = domain_check_sight(check);
	verdict->txt = txt_check(sight.txt, check->record.value);
	txt_check_explain(verdict->txt, sight.txt, &check->record, txt, sizeof txt);
	verdict->routing = routing_check(&sight.routing, routing, sizeof routing);
	verdict->rival =
	    check->claim.rival.id ? txt_check(&check->answers[RIVAL_TXT], check->rival.value) : TXT_TEMPORARY;
	snprintf(verdict->detail, sizeof verdict->detail, "%s %s", txt, routing);
	verdict->found = found_json(check);
	digest(check, verdict);
}

void domain_check_finish(struct domain_check *check, const char *by, struct domain_verdict *verdict)
{
	for (int i = 0; i < check->lookups; i++) {
		resolver_finish(check->queries[i], &check->answers[i]);
		check->queries[i] = NULL;
	}
	*verdict = (struct domain_verdict){.by = by};
	judge(check, verdict);
	verdict->took_ms = (int)(clock_monotonic_ms() - check->started_ms);
	count_outcome(verdict->txt);
}

void domain_verdict_fini(struct domain_verdict *verdict)
{
	free(verdict->found);
	free(verdict->diagnosis.json);
	verdict->found = verdict->diagnosis.json = NULL;
}

void domain_check_free(struct domain_check *check)
{
	for (int i = 0; i < check->lookups; i++) {
		if (check->queries[i])
			resolver_cancel(check->queries[i]);
		resolver_answer_free(&check->answers[i]);
	}
	free(check);
}

struct domain_sight domain_check_sight(const struct domain_check *check)
{
	return (struct domain_sight){.txt = &check->answers[TXT],
	    .routing = {.target = check->target,
		.name_a = check->answers[NAME_A],
		.name_aaaa = check->answers[NAME_AAAA],
		.target_a = check->answers[TARGET_A],
		.target_aaaa = check->answers[TARGET_AAAA],
		.apex = check->config->place.apex,
		.apex_count = check->config->place.apex_count}};
}
