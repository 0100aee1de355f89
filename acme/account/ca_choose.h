/*
 * Which CA does a job go to? The first of the list, unless what it has against the name, or its own trouble,
 * has lasted: then the second, until the first one's time has come again. Remembered in ca_trouble, by name
 * and CA.
 */
#ifndef ACME_CA_CHOOSE_H
#define ACME_CA_CHOOSE_H

#include "acme/account/ca_list.h"
#include "acme/queue/job.h"

/* CHOOSE_TROUBLES failures of the CA's own in a row, or a limit that ends no sooner than CHOOSE_FAR_S from
 * now, send a name to the other CA; a CA's trouble is looked at again after CHOOSE_TROUBLE_S. */
enum {
	CHOOSE_TROUBLES = 3,
	CHOOSE_FAR_S = 5 * 60,
	CHOOSE_TROUBLE_S = 30 * 60,
	CHOOSE_REFUSED_S = 24 * 60 * 60
};

/* *index: the CA for this job. An order in progress stays where it is unless its CA is barred now and the
 * other is not. R_OK, or the database's result. */
enum result ca_choose(
    struct pg *pg, const struct ca_list *list, const struct job *job, size_t *index, struct error *error);

/* Remembers a failure of the job at this CA. Sets failure->elsewhere where another CA is to be tried at once.
 * Does nothing where there is only one. */
enum result ca_note_failure(struct pg *pg, const struct ca_list *list, const struct job *job, size_t index,
    struct acme_failure *failure, struct error *error);

#endif
