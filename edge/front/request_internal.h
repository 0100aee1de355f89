/*
 * What request.c (a request from its head to its end), request_answer.c (what it gets from ourselves) and
 * request_tunnel.c (what it becomes behind a 101) share. Nobody else includes this.
 */
#ifndef EDGE_REQUEST_INTERNAL_H
#define EDGE_REQUEST_INTERNAL_H

#include "edge/front/request.h"

/* request.c */
/* Who sent the request, as the app and the log are to know him. */
const char *request_address(const struct request *request);
void request_pass_on(struct request *request, struct http_head *head);

/* request_answer.c */
void request_answer(struct request *request, struct reply *reply);
void request_answer_status(struct request *request, int status);
/* No upstream, no good answer of one, or not this connection: what operator or domain may have a page for. */
void request_answer_failure(struct request *request, int status);
void request_answer_challenge(struct request *request, struct http_head *head, const struct route *route);
/* To the same target of another host, by https. */
void request_answer_elsewhere(
    struct request *request, const struct http_head *head, const char *host, int status);
/* Port 80: a redirect, or a notice. */
void request_answer_plain(struct request *request, const struct http_head *head, const struct route *route);

/* request_sorry.c */
/* This connection is not for the host of this request. */
void request_answer_misdirected(struct request *request, struct http_head *head);

/* request_tunnel.c */
/* What a WebSocket of HTTP/2 (RFC 8441) lacks for an upstream that is asked over HTTP/1.1. */
void request_tunnel_complete(struct request *request, struct http_head *head);
/* Is this final head none that a client of HTTP/2 may have? */
bool request_tunnel_is_wrong(const struct request *request, const struct http_head *head);
void request_tunnel_open(struct request *request);
/* Counts it; how it ended, for the log. */
const char *request_tunnel_close(struct request *request, bool whole);

/* request_options.c */
/* The request is the domain's own. True: its options have answered it. */
bool request_options_answer(struct request *request, const struct http_head *head);
/* Adds to the head of a response, and takes out of it, what the domain's options say. */
void request_options_complete(struct request *request, struct http_head *head);
/* 403: who asks may not come in. */
void request_answer_refused(struct request *request);
/* The HTML for an answer of ours, of the domain's or the operator's; empty: none. */
struct http_slice request_options_page(struct request *request, int status);

#endif
