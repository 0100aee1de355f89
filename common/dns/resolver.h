/*
 * Live DNS look-ups: what do the authoritative servers say now? Iterative and validating (libunbound), with
 * no answer out of a cache or a built-in zone, so that a record published a moment ago is seen.
 *
 * Any thread may start and finish queries. A query belongs to who started it and must be finished by it,
 * which waits for the deadline at most. Answers are bounded by DNS itself: one message, 65,535 bytes.
 */
#ifndef COMMON_DNS_RESOLVER_H
#define COMMON_DNS_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "common/net/hostname.h"

enum { RESOLVER_DEADLINE_MS = 5000 };

enum resolver_type {
	RESOLVER_A = 1,
	RESOLVER_NS = 2,
	RESOLVER_CNAME = 5,
	RESOLVER_SOA = 6,
	RESOLVER_TXT = 16,
	RESOLVER_AAAA = 28,
	RESOLVER_CAA = 257
};

enum resolver_outcome {
	RESOLVER_FOUND,
	RESOLVER_NO_DATA,   /* the name exists, a record of this type does not */
	RESOLVER_NO_NAME,   /* NXDOMAIN */
	RESOLVER_TEMPORARY, /* SERVFAIL, refused, nobody answered in time: says nothing about the record */
	RESOLVER_BOGUS,     /* DNSSEC validation failed: says nothing about the record either */
};

/* TXT: the strings of the record joined, any bytes. A and AAAA: 4 or 16 bytes. CAA: the record as it is
 * (RFC 8659 section 4.1). CNAME, NS: the name as text,
 * lower case, without the final dot. */
struct resolver_value {
	unsigned char *bytes;
	size_t size;
};

struct resolver_answer {
	enum resolver_outcome outcome;
	bool secure; /* validated by DNSSEC */
	struct resolver_value *values;
	size_t count;
	char canonical[HOSTNAME_MAX + 1]; /* where a CNAME chain ended, lower case; "" where there was none */
	char detail[200]; /* a sentence for a person where the outcome is TEMPORARY or BOGUS */
};

struct resolver_options {
	const char *const *servers; /* ip@port of fixed resolvers; none: full recursion */
	size_t server_count;
	const char *const *stubs; /* zone=ip@port */
	size_t stub_count;
	const char *root_hints; /* NULL: those of libunbound */
	/* A file; "none": no validation; NULL: Debian's, where it is readable, for what is looked up from the
	 * root (stubs and fixed resolvers are then trusted as they are: the public root can't vouch for a
	 * private zone). */
	const char *trust_anchor;
	const char *program; /* in the middle of its metrics' names */
};

struct resolver;
struct resolver_query;

/* Starts its threads. R_INVALID: an option is wrong, the error says which. */
enum result resolver_new(struct resolver **out, const struct resolver_options *options, struct error *error);
/* Every query must have been finished before. */
void resolver_free(struct resolver *resolver);

struct resolver_question {
	const char *name;
	enum resolver_type type;
};

/* Starts `count` queries at once about one subject, a domain: what an earlier batch about it found is
 * forgotten. Never fails: what goes wrong is the answers' outcome. */
void resolver_start(struct resolver *resolver, const char *subject, const struct resolver_question *questions,
    size_t count, struct resolver_query **queries);
/* All of them, waited for: what is not there after `timeout_ms` counts as TEMPORARY. */
void resolver_ask(struct resolver *resolver, const char *subject, const struct resolver_question *questions,
    size_t count, int timeout_ms, struct resolver_answer *answers);
bool resolver_is_done(const struct resolver_query *query);
/* Waits until the query is done or RESOLVER_DEADLINE_MS after its start, frees it, fills *out. */
void resolver_finish(struct resolver_query *query, struct resolver_answer *out);
/* Ends a query at once and frees it. */
void resolver_cancel(struct resolver_query *query);
void resolver_answer_free(struct resolver_answer *answer);

/* Waits until some query got done since `seen`, or the time passed; returns the new count, for the next call.
 */
uint64_t resolver_wait(struct resolver *resolver, uint64_t seen, int timeout_ms);
/* Ends a resolver_wait at once. */
void resolver_wake(struct resolver *resolver);

#endif
