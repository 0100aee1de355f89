/*
 * A domain's DNS for tests of the judges, out of text: shop.brand.test, which is to have a TXT record and a
 * CNAME to nlb.saas.test (192.0.2.1, 2001:db8::1), in a zone of three servers that answer alike.
 */
#ifndef TESTS_SUPPORT_DIAGNOSE_CASE_H
#define TESTS_SUPPORT_DIAGNOSE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "tests/support/dns_answers.h"
#include "verifier/diagnose/judge.h"

#define CASE_NAME "shop.brand.test"
#define CASE_ZONE "brand.test"
#define CASE_TARGET "nlb.saas.test"
#define CASE_TOKEN "0123456789abcdef0123456789abcdef"
#define CASE_VALUE CASE_TOKEN ".verify.saas.test"
#define CASE_TXT "acme_verify." CASE_NAME
#define OURS4 "192.0.2.1"
#define OURS6 "2001:db8::1"
#define OTHER4 "198.51.100.9"
#define OTHER6 "2001:db8:bad::9"

enum { CASE_SERVERS = 3, CASE_ANSWERS = 32 };

struct diagnose_case {
	struct judge_case facts;
	struct routing_facts routing;
	struct resolver_answer txt;
	struct record records[RECORDS_MAX];
	struct dns_look look;
	struct judge_ca ca;
	struct verdicts verdicts;
	struct our_address apex[2];
	struct dns_answers kept[CASE_ANSWERS]; /* what the answers above point into */
	size_t used;
};

static inline struct dns_answers *case_keep(struct diagnose_case *it)
{
	assert_true(it->used < CASE_ANSWERS);
	it->kept[it->used] = (struct dns_answers){.answer = {.outcome = RESOLVER_NO_DATA}};
	return &it->kept[it->used++];
}

/* TXT records with these values, NULL at the end. */
static inline struct resolver_answer case_texts(struct diagnose_case *it, const char *text, ...)
{
	struct dns_answers *answers = case_keep(it);
	va_list more;
	va_start(more, text);
	for (; text; text = va_arg(more, const char *))
		answers_add_txt(answers, text);
	va_end(more);
	return answers->answer;
}

static inline struct resolver_answer case_addresses(struct diagnose_case *it, const char *text, ...)
{
	struct dns_answers *answers = case_keep(it);
	va_list more;
	va_start(more, text);
	for (; text; text = va_arg(more, const char *)) {
		int family = strchr(text, ':') ? AF_INET6 : AF_INET;
		assert_int_equal(
		    inet_pton(family, text, answers_next(answers, family == AF_INET6 ? 16 : 4)), 1);
	}
	va_end(more);
	return answers->answer;
}

static inline struct resolver_answer case_outcome(enum resolver_outcome outcome)
{
	return (struct resolver_answer){.outcome = outcome};
}

static inline struct resolver_answer case_alias(struct resolver_answer answer, const char *name)
{
	snprintf(answer.canonical, sizeof answer.canonical, "%s", name);
	return answer;
}

/* All as it should be. Free with free(). */
static inline struct diagnose_case *case_new(void)
{
	struct diagnose_case *it = calloc(1, sizeof *it);
	it->records[0] = (struct record){.type = "TXT", .name = CASE_TXT, .value = CASE_VALUE};
	it->records[1] = (struct record){.type = "CNAME", .name = CASE_NAME, .value = CASE_TARGET};
	it->txt = case_texts(it, CASE_VALUE, NULL);
	it->apex[0] = (struct our_address){{192, 0, 2, 1}, 4, OURS4};
	it->routing = (struct routing_facts){.target = CASE_TARGET,
	    .name_a = case_alias(case_addresses(it, OURS4, NULL), CASE_TARGET),
	    .name_aaaa = case_alias(case_addresses(it, OURS6, NULL), CASE_TARGET),
	    .target_a = case_addresses(it, OURS4, NULL),
	    .target_aaaa = case_addresses(it, OURS6, NULL),
	    .apex = it->apex,
	    .apex_count = 1};
	it->look.zone = (struct zone_look){.standing = ZONE_FOUND, .name = CASE_ZONE};
	it->look.server_count = CASE_SERVERS;
	for (int i = 0; i < CASE_SERVERS; i++) {
		struct server_look *server = &it->look.servers[i];
		*server =
		    (struct server_look){.txt = it->txt, .alias = CASE_TARGET, .primary = "ns1.brand.test"};
		snprintf(server->name, sizeof server->name, "ns%d.brand.test", i + 1);
		server->a = server->aaaa = server->caa = case_outcome(RESOLVER_NO_DATA);
	}
	it->look.bare = it->look.doubled = it->look.without_subdomain = it->look.doubled_cname =
	    case_outcome(RESOLVER_NO_NAME);
	strcpy(it->look.doubled_name, CASE_TXT "." CASE_ZONE);
	strcpy(it->look.without_subdomain_name, "acme_verify." CASE_ZONE);
	strcpy(it->look.doubled_cname_name, CASE_NAME "." CASE_ZONE);
	it->look.climb_count = caa_climb(CASE_NAME, it->look.climb);
	for (size_t i = 0; i < it->look.climb_count; i++)
		it->look.caa[i] = case_outcome(RESOLVER_NO_DATA);
	it->ca = (struct judge_ca){
	    .identity_count = 1, .identities = {"ca.test"}, .account_url = "https://ca.test/1"};
	it->facts = (struct judge_case){.name = CASE_NAME,
	    .label = "acme_verify",
	    .saas_root = "saas.test",
	    .records = it->records,
	    .record_count = 2,
	    .txt = &it->txt,
	    .routing = &it->routing,
	    .look = &it->look,
	    .cas = &it->ca,
	    .ca_count = 1};
	return it;
}

static inline void case_set_server_txt(struct diagnose_case *it, struct resolver_answer answer)
{
	for (int i = 0; i < CASE_SERVERS; i++)
		it->look.servers[i].txt = answer;
}

/* The TXT record is another one, as everybody has it. */
static inline void case_set_txt(struct diagnose_case *it, struct resolver_answer answer)
{
	it->txt = answer;
	case_set_server_txt(it, answer);
}

/* The domain leads to these addresses, or to a name. */
static inline void case_set_route(
    struct diagnose_case *it, const char *alias, struct resolver_answer a, struct resolver_answer aaaa)
{
	it->routing.name_a = case_alias(a, alias);
	it->routing.name_aaaa = case_alias(aaaa, alias);
	for (int i = 0; i < CASE_SERVERS; i++) {
		struct server_look *server = &it->look.servers[i];
		snprintf(server->alias, sizeof server->alias, "%s", alias);
		server->a = alias[0] ? case_outcome(RESOLVER_NO_DATA) : a;
		server->aaaa = alias[0] ? case_outcome(RESOLVER_NO_DATA) : aaaa;
	}
}

/* Judges, and returns the codes: "txt_ok routing_ok caa_ok". Lives until the next call. */
static inline const char *case_codes(struct diagnose_case *it)
{
	static char text[400];
	text[0] = '\0';
	judge(&it->facts, &it->verdicts);
	for (size_t i = 0; i < it->verdicts.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
		    verdict_kinds[it->verdicts.list[i].code].code);
	return text;
}

static inline const struct verdict *case_verdict(const struct diagnose_case *it, const char *code)
{
	for (size_t i = 0; i < it->verdicts.count; i++)
		if (strcmp(verdict_kinds[it->verdicts.list[i].code].code, code) == 0)
			return &it->verdicts.list[i];
	fail_msg("no verdict %s", code);
	return NULL;
}

#endif
