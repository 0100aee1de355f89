#include "acme/ca/acme_error.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clean_text.h"

static const char *const cause_names[CAUSE_COUNT] = {
    [CAUSE_DNS] = "dns",
    [CAUSE_CONNECTION] = "connection",
    [CAUSE_TLS] = "tls",
    [CAUSE_UNAUTHORIZED] = "unauthorized",
    [CAUSE_CAA] = "caa",
    [CAUSE_RATE_LIMITED] = "rate_limited",
    [CAUSE_REJECTED] = "rejected",
    [CAUSE_CA] = "ca",
    [CAUSE_NETWORK] = "network",
    [CAUSE_CERTIFICATE] = "certificate",
    [CAUSE_DENIED] = "denied",
    [CAUSE_DATABASE] = "database",
    [CAUSE_INTERNAL] = "internal",
};

/* Types that are missing here say nothing about the name: the status decides. In a validation `unauthorized`
 * means the customer's web server, in a response our account; `malformed` there means what the CA found at
 * the customer's, here our request. */
enum place { ANYWHERE, IN_RESPONSE, IN_VALIDATION };

static const struct {
	const char *type;
	enum acme_cause cause;
	bool permanent;
	enum place place;
} types[] = {
    {"dns", CAUSE_DNS, false, ANYWHERE},
    {"connection", CAUSE_CONNECTION, false, ANYWHERE},
    {"tls", CAUSE_TLS, false, ANYWHERE},
    {"unauthorized", CAUSE_UNAUTHORIZED, false, IN_VALIDATION},
    {"incorrectResponse", CAUSE_UNAUTHORIZED, false, IN_VALIDATION},
    {"malformed", CAUSE_UNAUTHORIZED, false, IN_VALIDATION},
    {"caa", CAUSE_CAA, false, ANYWHERE},
    {"rateLimited", CAUSE_RATE_LIMITED, false, ANYWHERE},
    {"badCSR", CAUSE_REJECTED, true, ANYWHERE},
    {"rejectedIdentifier", CAUSE_REJECTED, true, ANYWHERE},
    {"unsupportedIdentifier", CAUSE_REJECTED, true, ANYWHERE},
    {"malformed", CAUSE_REJECTED, true, IN_RESPONSE},
    {"userActionRequired", CAUSE_REJECTED, true, ANYWHERE},
    {"externalAccountRequired", CAUSE_REJECTED, true, ANYWHERE},
    {"invalidContact", CAUSE_REJECTED, true, ANYWHERE},
    {"unsupportedContact", CAUSE_REJECTED, true, ANYWHERE},
    {"serverInternal", CAUSE_CA, false, ANYWHERE},
};

const char *acme_cause_name(enum acme_cause cause)
{
	return cause_names[cause];
}

const char *acme_cause_actor(enum acme_cause cause)
{
	switch (cause) {
	case CAUSE_DNS:
	case CAUSE_CONNECTION:
	case CAUSE_TLS:
	case CAUSE_UNAUTHORIZED:
	case CAUSE_CAA: return "customer";
	case CAUSE_CA:
	case CAUSE_NETWORK:
	case CAUSE_RATE_LIMITED:
	case CAUSE_CERTIFICATE: return "ca";
	default: return "operator";
	}
}

bool acme_cause_ends_order(enum acme_cause cause)
{
	switch (cause) {
	case CAUSE_RATE_LIMITED:
	case CAUSE_CA:
	case CAUSE_NETWORK:
	case CAUSE_DATABASE:
	case CAUSE_INTERNAL: return false;
	default: return true;
	}
}

void acme_failure_set(struct acme_failure *failure, enum acme_cause cause, const char *format, ...)
{
	char text[2 * FAILURE_DETAIL_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	*failure = (struct acme_failure){.cause = cause};
	clean_text(failure->detail, sizeof failure->detail, text);
}

static bool find_type(const char *type, enum place place, struct acme_failure *failure)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(types[i].type, type) != 0 ||
		    (types[i].place != ANYWHERE && types[i].place != place))
			continue;
		failure->cause = types[i].cause;
		failure->permanent = types[i].permanent;
		return true;
	}
	return false;
}

static void set_words(struct acme_failure *failure, const struct acme_problem *problem)
{
	snprintf(failure->type, sizeof failure->type, "%s", problem->type);
	clean_text(failure->detail, sizeof failure->detail, problem->detail);
	if (failure->detail[0] != '\0')
		return;
	if (problem->type[0] != '\0')
		snprintf(failure->detail, sizeof failure->detail, "the CA says %s and nothing more",
		    problem->type);
	else
		snprintf(failure->detail, sizeof failure->detail, "the CA answered with status %d",
		    failure->status);
}

/* Boulder's answer for a name that it has paused: a limit in type, but no time ends it. */
static bool is_pause(const struct acme_failure *failure)
{
	return failure->cause == CAUSE_RATE_LIMITED && failure->retry_after == 0 &&
	       (strcasestr(failure->detail, "unpause") ||
		   strcasestr(failure->detail, "temporarily prevented"));
}

void acme_failure_of_response(
    struct acme_failure *failure, int status, const struct acme_problem *problem, int64_t retry_after)
{
	*failure = (struct acme_failure){.cause = CAUSE_CA, .status = status};
	if (retry_after > 0)
		failure->retry_after = retry_after;
	/* A server in trouble may say `malformed` of what it could not read: 5xx is never the request's
	 * fault. */
	if (status >= 500)
		find_type(strcmp(problem->type, "rateLimited") == 0 ? problem->type : "serverInternal",
		    IN_RESPONSE, failure);
	else if (!find_type(problem->type, IN_RESPONSE, failure))
		failure->cause = status == 429 ? CAUSE_RATE_LIMITED : CAUSE_CA;
	set_words(failure, problem);
	if (is_pause(failure)) {
		failure->cause = CAUSE_REJECTED;
		failure->permanent = true;
	}
}

void acme_failure_of_validation(struct acme_failure *failure, const struct acme_problem *problem)
{
	*failure = (struct acme_failure){.cause = CAUSE_UNAUTHORIZED};
	find_type(problem->type, IN_VALIDATION, failure);
	set_words(failure, problem);
}

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE };

static int64_t rung(const int64_t *ladder, int size, int count)
{
	return ladder[count < 1 ? 0 : count > size ? size - 1 : count - 1];
}

int64_t acme_failure_delay_ms(const struct acme_failure *failure, int count, uint32_t random)
{
	static const int64_t customer[] = {MINUTE, 10 * MINUTE, 100 * MINUTE, DAY};
	static const int64_t ca[] = {5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE};

	if (failure->elsewhere)
		return 0;
	bool of_ca = failure->cause == CAUSE_CA || failure->cause == CAUSE_NETWORK ||
		     failure->cause == CAUSE_DATABASE || failure->cause == CAUSE_INTERNAL;
	int64_t delay = of_ca ? rung(ca, sizeof ca / sizeof *ca, count)
			      : rung(customer, sizeof customer / sizeof *customer, count);
	if (failure->permanent)
		delay = DAY;
	delay += delay / 10 * ((int64_t)(random % 2001) - 1000) / 1000;

	/* The CA's word replaces our guess where limits are concerned, and bounds it from below elsewhere. */
	int64_t asked = failure->retry_after * SECOND;
	if (asked > 0 && (failure->cause == CAUSE_RATE_LIMITED || asked > delay))
		delay = asked + asked / 10 * (random % 1001) / 1000;
	return delay;
}

static int64_t clamp_retry_after(int64_t seconds)
{
	return seconds < 0 ? 0 : seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : seconds;
}

int64_t acme_parse_retry_after(const char *value, int64_t now)
{
	value += strspn(value, " \t");
	size_t digits = strspn(value, "0123456789");
	if (digits > 0) {
		if (value[digits + strspn(value + digits, " \t")] != '\0')
			return -1;
		int64_t seconds = 0;
		for (size_t i = 0; i < digits && seconds <= RETRY_AFTER_MAX; i++)
			seconds = seconds * 10 + (value[i] - '0');
		return clamp_retry_after(seconds);
	}
	time_t date = isalpha((unsigned char)*value) ? curl_getdate(value, NULL) : -1;
	return date < 0 ? -1 : clamp_retry_after((int64_t)date - now);
}
