/*
 * What a look at a domain's DNS means, one sentence at a time: which step it is about, whether somebody has
 * to act, who, and the record to add, change or remove.
 *
 * Text that came from DNS is put in by verdict_found alone, or went through txt_value_text before: printable
 * ASCII. What does not fit is cut.
 */
#ifndef VERIFIER_DIAGNOSE_VERDICT_H
#define VERIFIER_DIAGNOSE_VERDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum verdict_step { STEP_OWNERSHIP, STEP_ROUTING, STEP_CERTIFICATE };

enum verdict_state {
	VERDICT_OK,      /* with a mend: works, and could be better */
	VERDICT_WAIT,    /* time mends it */
	VERDICT_ACT,     /* somebody has to do something */
	VERDICT_UNKNOWN, /* could not be found out: says nothing against the domain */
};

enum verdict_code {
	VERDICT_TXT_OK,
	VERDICT_TXT_MISSING,
	VERDICT_TXT_WRONG_VALUE,
	VERDICT_TXT_OLD_VALUE,
	VERDICT_TXT_QUOTED_TWICE,
	VERDICT_TXT_ZONE_APPENDED,
	VERDICT_TXT_ALTERED,
	VERDICT_TXT_NAME_DOUBLED,
	VERDICT_TXT_ON_BARE_NAME,
	VERDICT_TXT_WITHOUT_SUBDOMAIN,
	VERDICT_TXT_BEHIND_ALIAS,
	VERDICT_TXT_ON_SOME_SERVERS,
	VERDICT_TXT_OWNED_BY_ANOTHER,
	VERDICT_TXT_COULD_NOT_CHECK,
	VERDICT_ZONE_MISSING,
	VERDICT_ZONE_SPLIT,
	VERDICT_DNSSEC_BOGUS,
	VERDICT_DNSSEC_NOT_CHECKABLE,
	VERDICT_SERVFAIL,
	VERDICT_SERVERS_SILENT,
	VERDICT_LAME_DELEGATION,
	VERDICT_LAME_SERVER,
	VERDICT_ROUTING_OK,
	VERDICT_ROUTING_MISSING,
	VERDICT_ROUTING_ELSEWHERE,
	VERDICT_ROUTING_ON_SOME_SERVERS,
	VERDICT_CNAME_AT_APEX,
	VERDICT_CNAME_NAME_DOUBLED,
	VERDICT_CNAME_ZONE_APPENDED,
	VERDICT_CNAME_LEADS_NOWHERE,
	VERDICT_CNAME_LOOP,
	VERDICT_LEFTOVER_AAAA,
	VERDICT_SECOND_A,
	VERDICT_BEHIND_CDN,
	VERDICT_OUR_ADDRESS_UNKNOWN,
	VERDICT_ROUTING_COULD_NOT_CHECK,
	VERDICT_CAA_OK,
	VERDICT_CAA_FORBIDS,
	VERDICT_CAA_OTHER_ACCOUNT,
	VERDICT_CAA_OTHER_METHOD,
	VERDICT_CAA_BY_DNS_ONLY,
	VERDICT_CAA_CRITICAL,
	VERDICT_CAA_COULD_NOT_CHECK,
	VERDICT_CODES
};

/* What each code stands for, whatever the domain. */
struct verdict_kind {
	const char *code;
	enum verdict_step step;
	enum verdict_state state;
	const char *who;   /* customer, operator, dns_provider, nobody */
	const char *title; /* a few words */
};
extern const struct verdict_kind verdict_kinds[VERDICT_CODES];
const char *verdict_state_name(enum verdict_state state);
const char *verdict_step_name(enum verdict_step step);

enum {
	VERDICTS_MAX = 16,
	VERDICT_SUMMARY = 1000,
	VERDICT_MEND = 2000,
	VERDICT_NAME = 520, /* a name with a zone after it */
	VERDICT_VALUE = 1400,
	VERDICT_FOUND_MAX = 8,
	VERDICT_FOUND = 304, /* of each */
};

struct verdict {
	enum verdict_code code;
	char summary[VERDICT_SUMMARY];
	char mend[VERDICT_MEND]; /* "": there is nothing to do */
	const char *action;      /* add, change, remove; NULL: no record */
	const char *type;
	char name[VERDICT_NAME];
	char value[VERDICT_VALUE];
	size_t found_count;
	char found[VERDICT_FOUND_MAX][VERDICT_FOUND];
};

struct verdicts {
	size_t count;
	struct verdict list[VERDICTS_MAX];
};

/* The next one, empty but for its code. Beyond VERDICTS_MAX, the last one again. */
struct verdict *verdicts_add(struct verdicts *verdicts, enum verdict_code code);
bool verdicts_have(const struct verdicts *verdicts, enum verdict_code code);
/* Each goes on where the last call ended. */
void verdict_say(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verdict_mend(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verdict_record(
    struct verdict *verdict, const char *action, const char *type, const char *name, const char *value);
/* Any bytes. */
void verdict_found(struct verdict *verdict, const void *bytes, size_t size);

json_t *verdicts_json(const struct verdicts *verdicts);

#endif
