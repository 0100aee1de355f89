/*
 * Link headers (RFC 8288): which URLs does the CA give as alternates of the document at hand? Several links
 * may stand in one header, and a target may be relative.
 */
#ifndef ACME_ACME_LINK_H
#define ACME_ACME_LINK_H

#include <stddef.h>

#include "acme/ca/acme_msg.h"

/* Adds the safe https URLs of the links with rel="alternate" to list[*count …], up to `max` in all, once
 * each; `base` is the URL of the document. What is broken ends the reading of the header. */
void acme_link_read_alternates(
    char (*list)[ACME_URL_SIZE], size_t *count, size_t max, const char *header, const char *base);

#endif
