/*
 * The page that says why a site has no certificate and who has to act. It names nobody: what a stranger may
 * know of a domain is that it is not ready.
 */
#ifndef EDGE_NOTICE_PAGE_H
#define EDGE_NOTICE_PAGE_H

#include "edge/http/http_msg.h"
#include "edge/site/notice.h"

enum { NOTICE_PAGE_MAX = 2048 };

/* HTML, written to `out`. `now_ms`: the wall clock, for the hour of the next try. */
struct http_slice notice_page_write(
    char out[NOTICE_PAGE_MAX], enum notice_kind kind, int64_t retry_s, int64_t now_ms);
/* For Retry-After, in seconds: when it may have changed. */
int notice_retry_after(enum notice_kind kind, int64_t retry_s);

#endif
