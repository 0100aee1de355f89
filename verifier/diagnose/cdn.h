/*
 * Content delivery networks by the names that domains are aliased to and by the addresses that their
 * operators publish. Only where that is certain: what is not recognised counts as any other address.
 */
#ifndef VERIFIER_DIAGNOSE_CDN_H
#define VERIFIER_DIAGNOSE_CDN_H

#include <stddef.h>

/* The CDN's name, or NULL. */
const char *cdn_of_name(const char *name);
/* 4 or 16 bytes in network order. */
const char *cdn_of_address(const unsigned char *bytes, size_t size);

#endif
