/*
 * The CA's header fields: which are kept, and in what form? One line at a time; what is malformed, unsafe or
 * longer than 2 KiB counts as absent.
 */
#ifndef ACME_ACME_HEADER_H
#define ACME_ACME_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "acme/ca/acme_http.h"

/* `url` is that of the document at hand; `now` in seconds since 1970. */
void acme_header_read(
    struct acme_response *response, const char *url, const char *bytes, size_t size, int64_t now);

#endif
