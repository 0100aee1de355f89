/*
 * The broker: finds a certificate for a name that the cache has not. PostgreSQL first, then the ask endpoint,
 * then the issuer; threads of its own, so that no worker ever waits for a database. One flight per name on
 * this node, whoever asks; the queue is bounded and a flood sheds the newest.
 *
 * It also keeps the cache fresh: NOTIFY as a hint, revalidation of every cached name within cache-max-age,
 * and a full re-read after each reconnect.
 */
#ifndef EDGE_BROKER_H
#define EDGE_BROKER_H

#include "common/seal/seal.h"
#include "common/settings/settings.h"
#include "edge/loop/mailbox.h"
#include "edge/site/site_cache.h"

struct broker;

enum broker_phase { BROKER_LOOKUP, BROKER_ASK, BROKER_ISSUE };
enum broker_outcome {
	BROKER_PHASE,     /* the flight entered `phase`: its deadline starts now */
	BROKER_READY,     /* the site cache has it; `site` is a reference for the receiver */
	BROKER_DENIED,    /* a definite no: unrecognized_name */
	BROKER_TEMPORARY, /* verifier, database or CA in trouble: internal_error */
};

/* Comes to the mailbox of the worker that asked. `message.deliver` is the one that was handed to broker_new;
 * it frees the reply (site_unref, free). */
struct broker_reply {
	struct message message;
	struct hostname name;
	bool only_looks; /* of such a search */
	enum broker_outcome outcome;
	enum broker_phase phase;
	/* Static, for log and metric. DENIED: "denied", "suspended", "not_stored". TEMPORARY: "database",
	 * "ask", "failed" (a while ago), "issuance" (just now), "deadline", "overload", "remembered". */
	const char *cause;
	struct site *site;
};

struct broker_config {
	const struct settings
	    *settings; /* database, database-listen, ask-url, ask-ca, ask-token, negative-ttl,
			  cache-max-age, issue-wait; read by broker_new only */
	const struct seal_keys *keys;
	struct site_cache *cache;
	void (*deliver)(struct message *message, void *receiver); /* deliver function of replies */
	/* On a thread of the broker's: somebody wants to know what was seen of this name. NULL: nobody
	 * answers. */
	void (*on_question)(void *arg, const char *name);
	void *arg;
};

enum result broker_new(struct broker **out, const struct broker_config *config, struct error *error);
/* Stops and joins its threads; nobody may be waiting any more. */
void broker_free(struct broker *broker);
/* From a worker: replies come to `mailbox` until READY, DENIED or TEMPORARY. One call per name and worker is
 * enough (cert_wait keeps the worker's waiters). broker_forget: no one on this mailbox waits for the name any
 * more. `only_looks`: what is stored will do; where nothing is, that is a denial for now, nobody is asked and
 * nothing issued. It is a search of its own. */
void broker_find(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks);
void broker_forget(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks);
/* New settings (ask-*, negative-ttl, issue-wait) in two steps, of which only the first can fail: it reads the
 * files. What it prepared is taken by broker_reload, or by broker_reload_drop. */
struct ask_target;
struct broker_reload {
	struct ask_target *ask_target;
	int64_t negative_ttl_ms, issue_wait_ms;
};
enum result broker_reload_prepare(
    struct broker_reload *reload, const struct settings *settings, struct error *error);
void broker_reload(struct broker *broker, struct broker_reload *reload);
void broker_reload_drop(struct broker_reload *reload);
/* For /readyz: has the database been reached since the start? */
bool broker_is_ready(const struct broker *broker, char *reason, size_t size);

#endif
