/*
 * Questions put to the database by a few threads, each with a connection: one that is free takes all that
 * wait in one statement. So the distance to the database costs each question a round trip or two, however
 * many come at once.
 */
#ifndef VERIFIER_ASK_ASK_BATCH_H
#define VERIFIER_ASK_ASK_BATCH_H

#include <sys/queue.h>

#include "common/net/hostname.h"

struct ask_batch;

enum ask_outcome { ASK_OUTCOME_ALLOWED, ASK_OUTCOME_DENIED, ASK_OUTCOME_DOWN };

struct ask_question {
	STAILQ_ENTRY(ask_question) link;
	struct hostname name;
	enum ask_outcome outcome;
	/* On the batch's thread, once; the question is the receiver's again. */
	void (*on_answer)(struct ask_question *question);
};

struct ask_batch *ask_batch_start(const char *conninfo);
/* Nobody may be waiting any more. */
void ask_batch_stop(struct ask_batch *batch);
/* From any thread. Answered within two seconds or so: where the database does not answer, with DOWN. */
void ask_batch_put(struct ask_batch *batch, struct ask_question *question);

#endif
