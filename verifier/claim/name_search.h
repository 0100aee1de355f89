/*
 * What a person types to find a domain, as the database looks for it: a piece of the name that begins with a
 * word (names are words between dots and hyphens), so that an index of words finds it among a million. Pure.
 */
#ifndef VERIFIER_CLAIM_NAME_SEARCH_H
#define VERIFIER_CLAIM_NAME_SEARCH_H

#include <stdbool.h>

#include "common/net/hostname.h"

struct name_search {
	char words[4 * HOSTNAME_MAX]; /* a text[], all in domain_words of the name: {"shop","bran"} */
	char part[HOSTNAME_MAX + 1];  /* what the name must hold */
};

/* Upper case and spaces around it are forgiven; a whole name may be in Unicode. False: no name can hold it.
 */
bool name_search_read(struct name_search *out, const char *text);

#endif
