#include "verifier/claim/txt_check.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [TXT_VERIFIED] = "verified",
    [TXT_ABSENT] = "absent",
    [TXT_MISMATCH] = "mismatch",
    [TXT_TEMPORARY] = "temporary",
    [TXT_BOGUS] = "bogus",
};

const char *txt_outcome_name(enum txt_outcome outcome)
{
	return names[outcome];
}

static bool holds(const struct resolver_answer *answer, const char *expected)
{
	size_t size = strlen(expected);
	for (size_t i = 0; i < answer->count; i++)
		if (answer->values[i].size == size && memcmp(answer->values[i].bytes, expected, size) == 0)
			return true;
	return false;
}

enum txt_outcome txt_check(const struct resolver_answer *answer, const char *expected)
{
	switch (answer->outcome) {
	case RESOLVER_FOUND:
		return !answer->count ? TXT_ABSENT : holds(answer, expected) ? TXT_VERIFIED : TXT_MISMATCH;
	case RESOLVER_NO_DATA:
	case RESOLVER_NO_NAME: return TXT_ABSENT;
	case RESOLVER_BOGUS: return TXT_BOGUS;
	case RESOLVER_TEMPORARY: break;
	}
	return TXT_TEMPORARY;
}

void txt_check_explain(enum txt_outcome outcome, const struct resolver_answer *answer,
    const struct record *wanted, char *text, size_t size)
{
	switch (outcome) {
	case TXT_VERIFIED: snprintf(text, size, "The TXT record %s is in place.", wanted->name); return;
	case TXT_ABSENT:
		snprintf(text, size, "There is no TXT record at %s yet. Add it with the value %s.",
		    wanted->name, wanted->value);
		return;
	case TXT_MISMATCH:
		snprintf(text, size,
		    "%s has %zu TXT record%s, but none with the value %s. Add one with exactly this value.",
		    wanted->name, answer->count, answer->count == 1 ? "" : "s", wanted->value);
		return;
	case TXT_BOGUS:
		snprintf(text, size,
		    "%s could not be trusted: %s. The domain's DNSSEC set-up must be mended first.",
		    wanted->name, answer->detail);
		return;
	case TXT_TEMPORARY: break;
	}
	snprintf(text, size, "%s could not be looked up: %s. Nothing was changed; it will be tried again.",
	    wanted->name, answer->detail);
}

void txt_value_text(const struct resolver_value *value, char *text, size_t size)
{
	size_t at = 0;
	for (size_t i = 0; i < value->size; i++) {
		unsigned char byte = value->bytes[i];
		bool plain = byte >= ' ' && byte < 0x7f && byte != '\\';
		if (at + (plain ? 1 : 4) >= size)
			break;
		if (plain)
			text[at++] = (char)byte;
		else
			at += (size_t)snprintf(text + at, size - at, "\\%03u", byte);
	}
	text[at] = '\0';
}
