/*
 * An order that was left at a CA because the name goes to another one: its authorizations are ended (RFC 8555
 * section 7.5.2), since pending ones count against the account until they expire. Best effort, after the name
 * has been seen to.
 */
#ifndef ACME_ABANDON_H
#define ACME_ABANDON_H

#include <stdbool.h>

#include "acme/account/ca_list.h"
#include "acme/queue/job.h"

struct abandoned {
	bool is_one; /* is there an order? */
	size_t at;   /* the CA */
	char order_url[ACME_URL_SIZE];
};

/* Keeps in mind what is about to be forgotten (job_forget_order). */
void abandon_note(struct abandoned *abandoned, const struct job *job, size_t at);
/* A CA that is left alone, or could not be reached for this name, is not asked: that would cost a thread a
 * minute for each name. */
void abandon_order(struct abandoned *abandoned, const struct ca_list *cas, struct ca_sessions *sessions,
    struct pg *pg, const char *name);

#endif
