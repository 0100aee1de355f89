/*
 * Where a customer's `_acme-challenge.<name>` leads when its validation by dns-01 is delegated to the
 * platform: a name in the operator's zone that is the name's own and never changes.
 */
#ifndef COMMON_DELEGATION_H
#define COMMON_DELEGATION_H

#define DELEGATION_PREFIX "_acme-challenge."

/* 128 bits of SHA-256 in hexadecimal: fits a label, and nobody makes two names of one label. */
enum { DELEGATION_LABEL = 32 };

/* A wildcard's is that of the name it stands under, where both are proven by the same record. */
void delegation_label(char out[DELEGATION_LABEL + 1], const char *name);

#endif
