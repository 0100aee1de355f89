/*
 * Several questions to several name servers at once, each server asked directly: UDP, and TCP where a reply
 * was cut. Blocks the calling thread, which waits for all of them together.
 *
 * Limits: ASK_SERVERS_MAX servers of ASK_QUESTIONS_MAX questions; each question is sent three times at most;
 * a reply over TCP may have ASK_REPLY_MAX bytes; a server that sends dozens of packets that are no answers is
 * given up; the whole is over after the time that is given.
 */
#ifndef VERIFIER_DIAGNOSE_SERVER_ASK_H
#define VERIFIER_DIAGNOSE_SERVER_ASK_H

#include "common/net/net.h"
#include "verifier/diagnose/dns_question.h"

enum { ASK_SERVERS_MAX = 8, ASK_QUESTIONS_MAX = 8, ASK_REPLY_MAX = 16 * 1024 };

struct ask_server {
	struct net_address address;
	bool may_be_own; /* this machine's address is as good as another's: the operator named it */
};

enum ask_outcome {
	ASK_SILENT,
	ASK_REPLIED,
	ASK_GARBLED,
	ASK_OWN, /* the address is this machine's: nothing was sent */
};

struct ask_result {
	enum ask_outcome outcome;
	struct dns_reply reply; /* where it REPLIED */
};

/* `results`: a server's questions stand together, question_count of them, then the next server's. To be freed
 * one by one with dns_reply_fini. */
void server_ask(const struct ask_server *servers, size_t server_count, const struct dns_question *questions,
    size_t question_count, int timeout_ms, struct ask_result *results);

#endif
