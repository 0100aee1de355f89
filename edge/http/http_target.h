/*
 * Request targets and host names as HTTP writes them (RFC 9112 section 3.2, RFC 9110 section 7.2).
 */
#ifndef EDGE_HTTP_TARGET_H
#define EDGE_HTTP_TARGET_H

#include "common/net/hostname.h"
#include "edge/http/http_msg.h"

enum { HTTP_HOST_MAX = 255 }; /* bytes of a host without its port */

/* Splits the target in head->target: origin-form and `*` stay, an absolute-form's authority goes to
 * head->host. R_INVALID: anything else, or a form that the method does not take. */
enum result http_target_read(struct http_head *head);

/* host, host:port, [v6] or [v6]:port; letters, digits, `-`, `.` and `_` in the host. */
bool http_host_is_valid(struct http_slice host);
/* The host without its port; brackets stay. */
struct http_slice http_host_name(struct http_slice host);
/* The name normalised as SNI is; R_INVALID where it is no DNS name (an address, for one). */
enum result http_host_normalise(struct hostname *out, struct http_slice host);

#endif
