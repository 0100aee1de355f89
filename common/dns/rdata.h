/*
 * The data of a record, as it came over the wire, into what its readers want. Any bytes are read to some end:
 * nothing is taken for granted that the resolver should have checked.
 */
#ifndef COMMON_DNS_RDATA_H
#define COMMON_DNS_RDATA_H

#include "common/dns/resolver.h"

/* A TXT record is a row of strings, each led by its length; what counts is the whole (RFC 7208 section 3.3 is
 * the best-known reader that joins them so). */
struct resolver_value rdata_read_text(const unsigned char *rdata, size_t size);
/* Labels, each led by its length (RFC 1035 section 3.1); a dot within a label becomes a byte that no host
 * name has. */
struct resolver_value rdata_read_name(const unsigned char *rdata, size_t size);

#endif
