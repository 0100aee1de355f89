/*
 * What went wrong with an order, whose doing it was, and when another try makes sense. One table from the
 * CA's problem types (RFC 8555 section 6.7) to causes; one ladder of delays for each kind of cause.
 */
#ifndef ACME_ACME_ERROR_H
#define ACME_ACME_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first five are the customer's DNS and routing, which enqueue_issuance knows by these names. */
enum acme_cause {
	CAUSE_DNS,
	CAUSE_CONNECTION,
	CAUSE_TLS,
	CAUSE_UNAUTHORIZED,
	CAUSE_CAA,
	CAUSE_RATE_LIMITED,
	CAUSE_REJECTED,    /* the CA will not issue for this name or account; a person has to act */
	CAUSE_CA,          /* the CA's own trouble, or an answer that makes no sense */
	CAUSE_NETWORK,     /* the CA could not be reached */
	CAUSE_CERTIFICATE, /* what the CA issued is not what was asked for */
	CAUSE_DENIED,      /* the ask endpoint forbids it now */
	CAUSE_DATABASE,
	CAUSE_INTERNAL,
	CAUSE_COUNT
};

enum {
	FAILURE_DETAIL_MAX = 1000, /* bytes kept of the CA's words: an address with a token in it fits */
	RETRY_AFTER_MAX = 24 * 60 * 60,
	PROBLEM_TYPE_SIZE = 64,
};

struct acme_problem {
	char type[PROBLEM_TYPE_SIZE]; /* without "urn:ietf:params:acme:error:"; empty: none or another
					 namespace */
	char detail[FAILURE_DETAIL_MAX + 1];
};

struct acme_failure {
	enum acme_cause cause;
	bool permanent;      /* not worth trying before tomorrow */
	bool keeps_order;    /* although its cause ends orders */
	bool foreseen;       /* before any order: the CA knows nothing of it, or was told of by others */
	bool elsewhere;      /* another CA is to be tried at once (ca_choose.h): the order is given up */
	int status;          /* HTTP status of the refusal, 0: there was none */
	int64_t retry_after; /* seconds that the CA asked for, 0: it did not */
	int64_t held_ms;     /* of an earlier try, and not to be tried again before; 0: of now */
	char type[PROBLEM_TYPE_SIZE];
	char detail[FAILURE_DETAIL_MAX + 1];
};

const char *acme_cause_name(enum acme_cause cause);
/* Who can mend it: "customer", "operator" or "ca". */
const char *acme_cause_actor(enum acme_cause cause);
/* The customer's validation was tried and refused, or the CA says no for good: the order is dead. Else (CA
 * down, network, limits) the same order may go on later. */
bool acme_cause_ends_order(enum acme_cause cause);

/* A failure of our own finding. */
void acme_failure_set(struct acme_failure *failure, enum acme_cause cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A request was refused with this status and problem (empty where the body was none); retry_after -1: absent.
 */
void acme_failure_of_response(
    struct acme_failure *failure, int status, const struct acme_problem *problem, int64_t retry_after);
/* A validation or an order ended as `invalid` with this problem. */
void acme_failure_of_validation(struct acme_failure *failure, const struct acme_problem *problem);

/* Milliseconds to the next try after the count-th failure (1 is the first) of this cause in a row. `random`
 * is any 32 random bits. The customer's side: 1, 10, 100 minutes, then daily. The CA's: 5, 15, 60 seconds, 5,
 * 30 minutes, then 2 hours. ± 10 %, but never sooner than Retry-After. A failure that goes
 * elsewhere: at once. */
int64_t acme_failure_delay_ms(const struct acme_failure *failure, int count, uint32_t random);

/* Retry-After (RFC 9110 section 10.2.3), seconds or a date, against `now` (seconds since 1970): 0 to
 * RETRY_AFTER_MAX, or -1 where it is neither. */
int64_t acme_parse_retry_after(const char *value, int64_t now);

#endif
