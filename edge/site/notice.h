/*
 * Why does this name have no certificate? What a visitor of port 80 is told where a redirect to https would
 * lead nowhere. Asks PostgreSQL on a connection of its own, and never the verifier or the issuer: looking
 * starts nothing.
 *
 * Bounds: one query at a time, at most fifty a second, 64 names each; 256 questions wait, the next gets
 * R_LIMIT. So junk names cost the database that much and crowd out notices, nothing else.
 */
#ifndef EDGE_NOTICE_H
#define EDGE_NOTICE_H

#include "common/net/hostname.h"
#include "common/settings/settings.h"
#include "edge/loop/mailbox.h"

struct notices;

enum notice_kind {
	NOTICE_NONE, /* there is a certificate, or one comes with the first visitor, or the name is not ours,
		      * or the database does not answer: redirect */
	NOTICE_PENDING, /* the domain waits for its records */
	NOTICE_SUSPENDED,
	NOTICE_ISSUING,
	NOTICE_UNREACHABLE, /* the CA did not find its way here: the customer's DNS */
	NOTICE_CAA,
	NOTICE_LIMITED,  /* the CA's rate limits */
	NOTICE_REJECTED, /* the CA says no for good */
	NOTICE_DELAYED,  /* trouble of the CA's or ours */
	NOTICE_KINDS
};

/* Comes to the mailbox of the worker that asked; the deliver function frees it. */
struct notice_reply {
	struct message message;
	uint64_t connection;
	struct hostname name;
	enum notice_kind kind;
	int64_t retry_s; /* until the next try, where one is planned; else 0 */
};

/* Needs `database`. */
struct notices *notices_new(const struct settings *settings);
/* Stops its thread; questions that wait get no reply. NULL is fine. */
void notices_free(struct notices *notices);

/* R_OK: a reply comes, within a second or so. R_LIMIT: too many questions. */
enum result notices_find(struct notices *notices, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, const char *name);

#endif
