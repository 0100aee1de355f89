/*
 * Asks the CAs when they want certificates renewed (RFC 9773), each certificate by one node however many
 * there are: what is to be asked is claimed in small batches along certificates_ari, and the moment chosen
 * within the CA's window becomes the certificate's renew_at.
 */
#ifndef ACME_RENEWAL_INFO_H
#define ACME_RENEWAL_INFO_H

#include "acme/account/ca_list.h"
#include "common/pg/pg.h"

/* Certificates asked about in one step. */
enum { RENEWAL_INFO_BATCH = 20, RENEWAL_INFO_HOLD_S = 60, RENEWAL_INFO_HOLD_MAX_S = 60 * 60 };

/* By place in the list: when a CA that was in trouble may be asked again, monotonic. Begins as zeros. */
struct renewal_info_hold {
	int64_t until_ms[CA_MAX];
};

/* One step. A CA that was in trouble is held back, and what it would have been asked about comes later.
 * *asked: how many questions went out. R_OK, or the database's result. */
enum result renewal_info_step(struct pg *pg, const struct ca_list *cas, struct ca_sessions *sessions,
    struct renewal_info_hold *hold, int *asked, struct error *error);

#endif
