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
enum { RENEWAL_INFO_BATCH = 20 };

/* One step. A CA in trouble is left alone by the whole fleet (breaker.h), one question that meets it being
 * enough, and what it would have been asked about comes later. R_OK, or the database's result. */
enum result renewal_info_step(
    struct pg *pg, const struct ca_list *cas, struct ca_sessions *sessions, struct error *error);

#endif
