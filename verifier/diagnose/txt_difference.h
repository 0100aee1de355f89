/*
 * How does the value that was found differ from the one that is wanted? The mistakes that people, and the web
 * pages of their DNS providers, make when they copy it.
 */
#ifndef VERIFIER_DIAGNOSE_TXT_DIFFERENCE_H
#define VERIFIER_DIAGNOSE_TXT_DIFFERENCE_H

#include "common/dns/resolver.h"

/* The likelier meant for us, the greater. */
enum txt_difference {
	TXT_IS_FOREIGN,
	TXT_IS_OLD,     /* of this platform, with another token */
	TXT_HAS_MORE,   /* the wanted value is somewhere in it */
	TXT_IS_CUT,     /* it is the beginning of the wanted value */
	TXT_HAS_CASE,   /* upper case letters */
	TXT_HAS_BLANKS, /* around it */
	TXT_HAS_DOT,    /* at its end */
	TXT_HAS_ZONE,   /* at its end */
	TXT_HAS_QUOTES, /* that are part of it */
	TXT_IS_THE_SAME,
};

/* `zone`: the domain's; "": not known. Where several things differ, the outermost. */
enum txt_difference txt_difference(
    const struct resolver_value *found, const char *wanted, const char *zone, const char *saas_root);

#endif
