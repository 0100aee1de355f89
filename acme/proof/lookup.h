/*
 * The issuer's look-ups: blocking, each batch with a deadline that a visitor can bear, and remembered when
 * DNS as a whole cannot be reached, so that an issuer without a way to DNS loses that time once a minute and
 * not with every order. Any thread.
 */
#ifndef ACME_LOOKUP_H
#define ACME_LOOKUP_H

#include <stdbool.h>

#include "common/dns/resolver.h"

enum { LOOKUP_MS = 2000, LOOKUP_UNREACHABLE_MS = 60 * 1000 };

struct lookup;

/* Takes the resolver over. */
struct lookup *lookup_new(struct resolver *resolver);
void lookup_free(struct lookup *lookup);
/* For who does not wait; lives as long as *lookup. */
struct resolver *lookup_resolver(struct lookup *lookup);

/* R_OK: the answers are there, to be freed. R_DOWN: DNS is not to be reached, nothing was asked or nothing
 * came; none are. `name` is what it is all about. */
enum result lookup_ask(struct lookup *lookup, const char *name, const struct resolver_question *questions,
    size_t count, struct resolver_answer *answers);
/* Does validation work at all? Where the root itself is "bogus", the trust anchor or the way is at fault. */
bool lookup_can_validate(struct lookup *lookup);

#endif
