/*
 * May this CA issue for a name, as the domain's CAA records have it (RFC 8659, parameters of RFC 8657)? A
 * pure decision over the look-ups of the climb; it chooses the CA and explains, the CA decides.
 */
#ifndef ACME_CAA_H
#define ACME_CAA_H

#include "acme/ca/acme_directory.h"
#include "common/dns/resolver.h"

enum caa {
	CAA_ALLOWED,
	CAA_FORBIDDEN,
	CAA_UNKNOWN, /* a look-up on the way came to nothing */
	CAA_BOGUS,   /* DNSSEC says that one was tampered with: a CA will not have it either */
};

/* Labels of a name; bytes of a note. */
enum { CAA_CLIMB_MAX = 127, CAA_NOTE_SIZE = 480 };

struct caa_asker {
	const struct acme_directory *directory; /* without caaIdentities everything is allowed */
	const char *account_url;
	bool is_wildcard; /* then the climb begins at the name that it stands under */
};

struct caa_verdict {
	enum caa caa;
	bool methods[ACME_CHALLENGE_TYPES]; /* the challenges that the records allow; all where they say
					       nothing */
	const char *place;                  /* of the climb, whose records decided; NULL: there are none */
	char note[CAA_NOTE_SIZE];           /* why not, and which record to change, for the customer; "" */
};

/* The names whose CAA records are looked up, the name itself first, its top-level domain last: pointers into
 * `name`. How many. */
size_t caa_climb(const char *name, const char *climb[CAA_CLIMB_MAX]);

/* `answers` are of caa_climb's names. The look-ups follow aliases by themselves (RFC 8659 section 3). */
void caa_judge(struct caa_verdict *out, const struct caa_asker *asker, const char *const *climb,
    const struct resolver_answer *answers, size_t count);

#endif
