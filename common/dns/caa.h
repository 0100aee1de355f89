/*
 * May this CA issue for a name, as the domain's CAA records have it (RFC 8659, parameters of RFC 8657)? A
 * pure decision over the look-ups of the climb; it chooses the CA and explains, the CA decides.
 */
#ifndef COMMON_DNS_CAA_H
#define COMMON_DNS_CAA_H

#include "common/dns/resolver.h"

enum caa {
	CAA_ALLOWED,
	CAA_FORBIDDEN,
	CAA_UNKNOWN, /* a look-up on the way came to nothing */
	CAA_BOGUS,   /* DNSSEC says that one was tampered with: a CA will not have it either */
};

/* Labels of a name; bytes of a note and of a record; ways to prove control that an asker may know. */
enum { CAA_CLIMB_MAX = 127, CAA_NOTE_SIZE = 480, CAA_RECORD_SIZE = 1400, CAA_METHODS_MAX = 8 };

/* Who wants to issue. */
struct caa_asker {
	const char *const *identities; /* the CA's names in such records, the foremost first */
	size_t identity_count;         /* 0: everything is allowed */
	const char *account_url;
	const char *const *methods; /* that are in use, at most CAA_METHODS_MAX */
	size_t method_count;
	bool is_wildcard; /* then the climb begins at the name that it stands under */
};

/* Why it is forbidden. */
enum caa_reason {
	CAA_NO_REASON,
	CAA_OTHER_CA,
	CAA_OTHER_ACCOUNT, /* of this CA */
	CAA_OTHER_METHOD,
	CAA_CRITICAL, /* an unknown property that is critical */
};

struct caa_verdict {
	enum caa caa;
	enum caa_reason reason;
	bool
	    methods[CAA_METHODS_MAX]; /* of the asker's, that the records allow; all where they say nothing */
	const char *place;            /* of the climb, whose records decided; NULL: there are none */
	/* The data of the record that would allow it, to be added there; of CRITICAL, the tag of the one to
	 * be taken away. */
	char record[CAA_RECORD_SIZE];
	char note[CAA_NOTE_SIZE]; /* why not, and which record to change, for the customer; "" */
};

/* The names whose CAA records are looked up, the name itself first, its top-level domain last: pointers into
 * `name`. How many. */
size_t caa_climb(const char *name, const char *climb[CAA_CLIMB_MAX]);

/* `answers` are of caa_climb's names. The look-ups follow aliases by themselves (RFC 8659 section 3). */
void caa_judge(struct caa_verdict *out, const struct caa_asker *asker, const char *const *climb,
    const struct resolver_answer *answers, size_t count);

/* A record as in a zone file: 0 issue "ca.example". What is not printable ASCII is `?`; cut where `size`
 * ends. */
void caa_text(const struct resolver_value *record, char *text, size_t size);

#endif
