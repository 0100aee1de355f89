/*
 * HTTP/1.1 heads out of bytes (RFC 9112), incrementally, with nothing repaired: a message that two readers
 * could read in two ways is refused. Feeding a head byte by byte gives the same result as feeding it whole.
 */
#ifndef EDGE_H1_PARSE_H
#define EDGE_H1_PARSE_H

#include "edge/http/h1_fields.h"
#include "edge/http/http_msg.h"

/* R_OK: `head` borrows from `bytes`, *used is its size. R_AGAIN: more bytes are needed. R_INVALID: *status is
 * what to answer before closing (400, 414, 417, 431, 501, 505). */
enum result h1_parse_request(
    struct http_head *head, struct h1_scan *scan, const char *bytes, size_t size, size_t *used, int *status);

/* `to_head`: the request was HEAD, so no body follows whatever the fields say. R_INVALID: not to be passed
 * on. */
enum result h1_parse_response(
    struct http_head *head, struct h1_scan *scan, const char *bytes, size_t size, bool to_head, size_t *used);

#endif
