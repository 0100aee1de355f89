/*
 * ACME Renewal Information (RFC 9773): when does the CA want this certificate renewed? The certificate's id,
 * the answer judged, and one moment in the window, which stays the same while the window does. Pure;
 * renewal_info asks.
 */
#ifndef ACME_ARI_H
#define ACME_ARI_H

#include <stdint.h>

#include "acme/ca/ca.h"

enum { ARI_CERT_ID_SIZE = 160, ARI_ASK_MIN_S = 60, ARI_ASK_MAX_S = 24 * 60 * 60, ARI_ASK_S = 6 * 60 * 60 };

/* Seconds since 1970; all 0: nothing is known. */
struct ari_plan {
	int64_t start;
	int64_t end;
	int64_t selected;                /* a moment of the window at random */
	char explanation[ACME_URL_SIZE]; /* a page for people; empty: none */
};

/* base64url(AKI keyIdentifier) "." base64url(serial) of the first certificate in `pem` (section 4.1). */
enum result ari_cert_id(char out[ARI_CERT_ID_SIZE], const char *pem, struct error *error);

/* Takes a renewalInfo document into *plan. Where the window is the same, the selected moment stays.
 * R_INVALID: no document, or a window that does not end after its start; *plan is as before. `random` is any
 * 32 random bits. */
enum result ari_read(
    struct ari_plan *plan, const char *json, size_t size, uint32_t random, struct error *error);

/* Seconds to the next question, by the answer's Retry-After (-1: none). */
int64_t ari_ask_again_s(int64_t retry_after);

#endif
