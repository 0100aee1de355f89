/*
 * What request.c (a request from its head to its end), request_answer.c (what it gets from ourselves) and
 * request_tunnel.c (what it becomes behind a 101) share. Nobody else includes this.
 */
#ifndef EDGE_REQUEST_INTERNAL_H
#define EDGE_REQUEST_INTERNAL_H

#include "edge/front/request.h"

/* request.c */
void request_pass_on(struct request *request, struct http_head *head);

/* request_answer.c */
void request_answer(struct request *request, struct reply *reply);
void request_answer_status(struct request *request, int status);
/* No upstream, or no good answer of one: for 503 the operator may have a page. */
void request_answer_failure(struct request *request, int status);
void request_answer_challenge(struct request *request, struct http_head *head, const struct route *route);
/* Port 80: a redirect, or a notice. */
void request_answer_plain(struct request *request, const struct http_head *head, const struct route *route);

/* request_tunnel.c */
void request_tunnel_open(struct request *request);
/* Counts it; how it ended, for the log. */
const char *request_tunnel_close(struct request *request, bool whole);

#endif
