#include "acme/proof/persist_record.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/dns/issue_value.h"

enum { UNTIL_DIGITS_MAX = 15 };

enum result persist_record_name(char out[HOSTNAME_MAX + 1], const char *name)
{
	int size = snprintf(out, HOSTNAME_MAX + 1, PERSIST_RECORD_PREFIX "%s", hostname_base(name));
	return size <= HOSTNAME_MAX ? R_OK : R_INVALID;
}

static bool is_issuer(const struct acme_issuer_names *issuers, const char *issuer)
{
	if (!issuers)
		return issuer[0] != '\0';
	for (size_t i = 0; i < issuers->count; i++) {
		const char *name = issuers->list[i];
		size_t size = strlen(name);
		if (size > 0 && name[size - 1] == '.')
			size--;
		if (strlen(issuer) == size && strncasecmp(name, issuer, size) == 0)
			return true;
	}
	return false;
}

/* False: not a time. */
static bool read_until(const struct issue_value *value, int64_t *until)
{
	const struct issue_parameter *parameter = NULL;
	enum result result = issue_value_find(value, "persistUntil", &parameter);
	*until = 0;
	if (result != R_OK)
		return result == R_NONE;
	if (parameter->value_size == 0 || parameter->value_size > UNTIL_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < parameter->value_size; i++) {
		if (parameter->value[i] < '0' || parameter->value[i] > '9')
			return false;
		*until = *until * 10 + (parameter->value[i] - '0');
	}
	/* 0 says "no end" here, and is long past. */
	*until = *until == 0 ? 1 : *until;
	return true;
}

/* Another policy than the one that is known counts as if none was given. */
static bool has_wildcard_policy(const struct issue_value *value)
{
	const struct issue_parameter *policy = NULL;
	return issue_value_find(value, "policy", &policy) == R_OK &&
	       policy->value_size == strlen("wildcard") &&
	       strncasecmp(policy->value, "wildcard", policy->value_size) == 0;
}

static struct persist_record judge_one(const struct resolver_value *text,
    const struct acme_issuer_names *issuers, const char *account_url, bool needs_wildcard, int64_t now)
{
	struct issue_value value;
	struct persist_record record = {.standing = PERSIST_FOREIGN};
	const struct issue_parameter *account = NULL;
	if (issue_value_parse(&value, text->bytes, text->size) != R_OK || !is_issuer(issuers, value.issuer) ||
	    issue_value_find(&value, "accounturi", &account) != R_OK ||
	    !issue_parameter_is(account, account_url) || !read_until(&value, &record.until))
		return record;
	record.is_wildcard = has_wildcard_policy(&value);
	if (needs_wildcard && !record.is_wildcard)
		return record;
	record.standing = record.until != 0 && record.until <= now ? PERSIST_EXPIRED : PERSIST_GOOD;
	return record;
}

static bool lasts_longer(const struct persist_record *a, const struct persist_record *b)
{
	return a->until == 0 || (b->until != 0 && a->until > b->until);
}

static bool is_better(const struct persist_record *a, const struct persist_record *b)
{
	static const int rank[] = {
	    [PERSIST_FOREIGN] = 1, [PERSIST_EXPIRED] = 2, [PERSIST_GOOD] = 3, [PERSIST_UNKNOWN] = 0};
	if (rank[a->standing] != rank[b->standing])
		return rank[a->standing] > rank[b->standing];
	return a->standing >= PERSIST_GOOD && lasts_longer(a, b);
}

struct persist_record persist_record_judge(const struct resolver_answer *answer,
    const struct acme_issuer_names *issuers, const char *account_url, bool needs_wildcard, int64_t now)
{
	struct persist_record best = {.standing = PERSIST_ABSENT};
	if (answer->outcome == RESOLVER_TEMPORARY || answer->outcome == RESOLVER_BOGUS)
		best.standing = PERSIST_UNKNOWN;
	for (size_t i = 0; answer->outcome == RESOLVER_FOUND && i < answer->count; i++) {
		struct persist_record record =
		    judge_one(&answer->values[i], issuers, account_url, needs_wildcard, now);
		if (is_better(&record, &best))
			best = record;
	}
	return best;
}
