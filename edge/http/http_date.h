/*
 * The time as the field Date writes it (RFC 9110 section 5.6.7).
 */
#ifndef EDGE_HTTP_DATE_H
#define EDGE_HTTP_DATE_H

/* "Sun, 06 Nov 1994 08:49:37 GMT"; valid until this thread's next call. Written once a second and thread. */
const char *http_date_now(void);

#endif
