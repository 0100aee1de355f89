/*
 * The certificate's way into the database and out of it: sealed key and chain in one transaction with the end
 * of the job, so that either everything of a success is seen or nothing.
 */
#ifndef ACME_STORE_H
#define ACME_STORE_H

#include <openssl/types.h>

#include "acme/queue/job.h"
#include "common/certificate/certificate.h"
#include "common/pg/pg.h"
#include "common/seal/seal.h"

/* Replaces the name's certificate (the job's fence becomes its version; a newer version stays), deletes its
 * failures and this CA's trouble with it, retires its challenges, closes the job. R_LOST: the job is no
 * longer ours, nothing was written.
 */
enum result store_certificate(struct pg *pg, const struct seal_keys *keys, const struct job *job,
    const struct certificate *certificate, const EVP_PKEY *key, const char *directory,
    const char *account_url, struct error *error);

/* Can the stored certificate be opened and served? R_INVALID: no, the error says why. */
enum result store_check(struct pg *pg, const struct seal_keys *keys, const char *name, struct error *error);

#endif
