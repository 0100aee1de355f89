#include "acme/caa.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acme/issue_value.h"

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

static bool is_identity(const struct acme_directory *directory, const char *issuer)
{
	for (size_t i = 0; i < directory->caa_identity_count; i++)
		if (strcasecmp(directory->caa_identities[i], issuer) == 0)
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

/* Does this property allow this CA, account and some way to prove control? */
static bool allows(
    const struct property *property, const struct caa_asker *asker, bool methods[ACME_CHALLENGE_TYPES])
{
	struct issue_value value;
	const struct issue_parameter *account = NULL;
	const struct issue_parameter *list = NULL;
	if (issue_value_parse(&value, property->value, property->value_size) != R_OK ||
	    !is_identity(asker->directory, value.issuer))
		return false;
	if (issue_value_find(&value, "accounturi", &account) == R_INVALID ||
	    issue_value_find(&value, "validationmethods", &list) == R_INVALID)
		return false;
	if (account && !issue_parameter_is(account, asker->account_url))
		return false;
	bool any = false;
	for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
		if (!list || lists_method(list, acme_challenge_name((enum acme_challenge_type)type)))
			any = methods[type] = true;
	return any;
}

static void explain(
    const struct caa_asker *asker, const char *place, const char *what, char *note, size_t size)
{
	snprintf(note, size,
	    "The CAA records of %s %s. Add the record CAA 0 %s \"%s\" there, or remove those that forbid it.",
	    place, what, asker->is_wildcard ? "issuewild" : "issue", asker->directory->caa_identities[0]);
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

static enum caa judge_set(const struct caa_asker *asker, const char *place,
    const struct resolver_answer *answer, bool methods[ACME_CHALLENGE_TYPES], char *note, size_t size)
{
	bool decides = false;
	bool allowed = false;
	const char *tag = deciding_tag(answer, asker);
	memset(methods, 0, ACME_CHALLENGE_TYPES * sizeof *methods);
	for (size_t i = 0; i < answer->count; i++) {
		struct property property;
		if (!read_property(&property, &answer->values[i]))
			continue;
		if (property.critical && !is_known(&property)) {
			explain(asker, place, "have a critical property that CAs do not know", note, size);
			return CAA_FORBIDDEN;
		}
		if (!has_tag(&property, tag))
			continue;
		decides = true;
		allowed = allows(&property, asker, methods) || allowed;
	}
	if (decides && !allowed) {
		explain(asker, place, "do not allow our certificate authority to issue", note, size);
		return CAA_FORBIDDEN;
	}
	for (int type = 0; !decides && type < ACME_CHALLENGE_TYPES; type++)
		methods[type] = true;
	return CAA_ALLOWED;
}

enum caa caa_judge(const struct caa_asker *asker, const char *const *climb,
    const struct resolver_answer *answers, size_t count, bool methods[ACME_CHALLENGE_TYPES], char *note,
    size_t size)
{
	for (int type = 0; type < ACME_CHALLENGE_TYPES; type++)
		methods[type] = true;
	for (size_t i = 0; i < count && asker->directory->caa_identity_count > 0; i++) {
		switch (answers[i].outcome) {
		case RESOLVER_FOUND: return judge_set(asker, climb[i], &answers[i], methods, note, size);
		case RESOLVER_NO_DATA:
		case RESOLVER_NO_NAME: continue;
		case RESOLVER_TEMPORARY: return CAA_UNKNOWN;
		case RESOLVER_BOGUS:
			snprintf(note, size, "%s: %s.", climb[i], answers[i].detail);
			return CAA_BOGUS;
		}
	}
	return CAA_ALLOWED;
}
