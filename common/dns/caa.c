#include "common/dns/caa.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/dns/issue_value.h"

enum { FLAG_CRITICAL = 0x80 };

struct property {
	bool critical;
	const char *tag;
	size_t tag_size;
	const char *value;
	size_t value_size;
};

size_t caa_climb(const char *name, const char *climb[CAA_CLIMB_MAX])
{
	size_t count = 0;
	for (const char *at = name; at && *at && count < CAA_CLIMB_MAX;) {
		climb[count++] = at;
		at = strchr(at, '.');
		at = at ? at + 1 : NULL;
	}
	return count;
}

/* RFC 8659 section 4.1: flags, the tag's length, the tag, the value. */
static bool read_property(struct property *out, const struct resolver_value *record)
{
	if (record->size < 2 || record->bytes[1] == 0 || (size_t)record->bytes[1] + 2 > record->size)
		return false;
	out->critical = record->bytes[0] & FLAG_CRITICAL;
	out->tag = (const char *)record->bytes + 2;
	out->tag_size = record->bytes[1];
	out->value = out->tag + out->tag_size;
	out->value_size = record->size - 2 - out->tag_size;
	return true;
}

static bool has_tag(const struct property *property, const char *tag)
{
	return property->tag_size == strlen(tag) && strncasecmp(property->tag, tag, property->tag_size) == 0;
}

static bool is_known(const struct property *property)
{
	static const char *const tags[] = {
	    "issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"};
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (has_tag(property, tags[i]))
			return true;
	return false;
}

static bool is_identity(const struct caa_asker *asker, const char *issuer)
{
	for (size_t i = 0; i < asker->identity_count; i++)
		if (strcasecmp(asker->identities[i], issuer) == 0)
			return true;
	return false;
}

static bool lists_method(const struct issue_parameter *list, const char *method)
{
	const char *end = list->value + list->value_size;
	for (const char *at = list->value; at < end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t size = (size_t)((comma ? comma : end) - at);
		if (size == strlen(method) && memcmp(at, method, size) == 0)
			return true;
		at += size + 1;
	}
	return false;
}

/* How near a property comes to allowing this CA, account and some way to prove control. OUR_ACCOUNT: it names
 * the account, and no method. */
enum nearness { NOT_THIS_CA, NOT_THIS_ACCOUNT, NO_METHOD, NO_METHOD_OUR_ACCOUNT, ALLOWS };

static enum nearness judge_property(
    const struct property *property, const struct caa_asker *asker, bool methods[CAA_METHODS_MAX])
{
	struct issue_value value;
	const struct issue_parameter *account = NULL;
	const struct issue_parameter *list = NULL;
	if (issue_value_parse(&value, property->value, property->value_size) != R_OK ||
	    !is_identity(asker, value.issuer))
		return NOT_THIS_CA;
	if (issue_value_find(&value, "accounturi", &account) == R_INVALID ||
	    (account && !issue_parameter_is(account, asker->account_url)))
		return NOT_THIS_ACCOUNT;
	if (issue_value_find(&value, "validationmethods", &list) == R_INVALID)
		return NO_METHOD;
	bool any = false;
	for (size_t i = 0; i < asker->method_count; i++)
		if (!list || lists_method(list, asker->methods[i]))
			any = methods[i] = true;
	return any ? ALLOWS : account ? NO_METHOD_OUR_ACCOUNT : NO_METHOD;
}

static const char *tag_for(const struct caa_asker *asker)
{
	return asker->is_wildcard ? "issuewild" : "issue";
}

/* A record beside those that are there: one that allows is enough. It is as narrow as they are. */
static void write_record(struct caa_verdict *out, const struct caa_asker *asker, enum nearness nearest)
{
	char *text = out->record;
	size_t size = sizeof out->record;
	size_t at = (size_t)snprintf(text, size, "0 %s \"%s", tag_for(asker), asker->identities[0]);
	if (nearest == NOT_THIS_ACCOUNT || nearest == NO_METHOD_OUR_ACCOUNT)
		at += (size_t)snprintf(text + at, size - at, "; accounturi=%s", asker->account_url);
	for (size_t i = 0; out->reason == CAA_OTHER_METHOD && i < asker->method_count && at < size; i++)
		at += (size_t)snprintf(
		    text + at, size - at, "%s%s", i ? "," : "; validationmethods=", asker->methods[i]);
	if (at < size)
		snprintf(text + at, size - at, "\"");
}

static void explain(struct caa_verdict *out, const struct caa_asker *asker, enum nearness nearest)
{
	const char *identity = asker->identities[0];
	out->caa = CAA_FORBIDDEN;
	out->reason = nearest == NOT_THIS_ACCOUNT ? CAA_OTHER_ACCOUNT
		      : nearest == NOT_THIS_CA    ? CAA_OTHER_CA
						  : CAA_OTHER_METHOD;
	write_record(out, asker, nearest);
	if (out->reason == CAA_OTHER_ACCOUNT)
		snprintf(out->note, sizeof out->note,
		    "The CAA records of %s allow %s to issue for another account only: write accounturi=%s "
		    "into "
		    "that record, or take accounturi out of it.",
		    out->place, identity, asker->account_url);
	else if (out->reason == CAA_OTHER_METHOD)
		snprintf(out->note, sizeof out->note,
		    "The CAA records of %s allow %s to issue only after validation by methods that are not "
		    "in use "
		    "here: change validationmethods in that record, or take it out.",
		    out->place, identity);
	else
		snprintf(out->note, sizeof out->note,
		    "The CAA records of %s do not allow our certificate authority to issue. Add the record "
		    "CAA 0 %s "
		    "\"%s\" there, or remove those that forbid it.",
		    out->place, tag_for(asker), identity);
}

/* RFC 8659 section 4.3: where issuewild is there, issue says nothing about wildcards. */
static const char *deciding_tag(const struct resolver_answer *answer, const struct caa_asker *asker)
{
	struct property property;
	for (size_t i = 0; asker->is_wildcard && i < answer->count; i++)
		if (read_property(&property, &answer->values[i]) && has_tag(&property, "issuewild"))
			return "issuewild";
	return "issue";
}

static void allow_all(struct caa_verdict *out)
{
	for (size_t i = 0; i < CAA_METHODS_MAX; i++)
		out->methods[i] = true;
}

static void forbid_critical(struct caa_verdict *out, const struct property *property)
{
	out->caa = CAA_FORBIDDEN;
	out->reason = CAA_CRITICAL;
	for (size_t i = 0; i < property->tag_size; i++)
		out->record[i] = isalnum((unsigned char)property->tag[i]) ? property->tag[i] : '?';
	snprintf(out->note, sizeof out->note,
	    "The CAA records of %s have a critical property that certificate authorities do not know: remove "
	    "it.",
	    out->place);
}

static void judge_set(
    struct caa_verdict *out, const struct caa_asker *asker, const struct resolver_answer *answer)
{
	bool decides = false;
	enum nearness nearest = NOT_THIS_CA;
	const char *tag = deciding_tag(answer, asker);
	memset(out->methods, 0, sizeof out->methods);
	for (size_t i = 0; i < answer->count; i++) {
		struct property property;
		if (!read_property(&property, &answer->values[i]))
			continue;
		if (property.critical && !is_known(&property)) {
			forbid_critical(out, &property);
			return;
		}
		if (!has_tag(&property, tag))
			continue;
		decides = true;
		enum nearness near = judge_property(&property, asker, out->methods);
		nearest = near > nearest ? near : nearest;
	}
	if (!decides)
		allow_all(out);
	else if (nearest != ALLOWS)
		explain(out, asker, nearest);
}

void caa_judge(struct caa_verdict *out, const struct caa_asker *asker, const char *const *climb,
    const struct resolver_answer *answers, size_t count)
{
	*out = (struct caa_verdict){.caa = CAA_ALLOWED};
	allow_all(out);
	for (size_t i = 0; i < count && asker->identity_count > 0; i++) {
		switch (answers[i].outcome) {
		case RESOLVER_FOUND:
			out->place = climb[i];
			judge_set(out, asker, &answers[i]);
			return;
		case RESOLVER_NO_DATA:
		case RESOLVER_NO_NAME: continue;
		case RESOLVER_TEMPORARY: out->caa = CAA_UNKNOWN; return;
		case RESOLVER_BOGUS:
			out->caa = CAA_BOGUS;
			snprintf(out->note, sizeof out->note, "%s: %s.", climb[i], answers[i].detail);
			return;
		}
	}
}

static size_t copy_printable(char *text, size_t room, const char *bytes, size_t size)
{
	size_t copied = size < room ? size : room;
	for (size_t i = 0; i < copied; i++)
		text[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
	text[copied] = '\0';
	return copied;
}

void caa_text(const struct resolver_value *record, char *text, size_t size)
{
	enum { AROUND = 8 }; /* flags, blanks, quotes */
	struct property property;
	if (!read_property(&property, record) || size < AROUND + property.tag_size) {
		snprintf(text, size, "(malformed)");
		return;
	}
	size_t at = (size_t)snprintf(text, size, "%d ", record->bytes[0]);
	at += copy_printable(text + at, size - AROUND, property.tag, property.tag_size);
	at += (size_t)snprintf(text + at, size - at, " \"");
	at +=
	    copy_printable(text + at, size > at + 2 ? size - at - 2 : 0, property.value, property.value_size);
	snprintf(text + at, size - at, "\"");
}
