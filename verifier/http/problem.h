/*
 * Errors of the API as RFC 9457 problem documents, whose `detail` says what is wrong and how to mend it.
 */
#ifndef VERIFIER_HTTP_PROBLEM_H
#define VERIFIER_HTTP_PROBLEM_H

#include "verifier/http/mhd.h"

/* `code`: a fixed word for programs; `field`: what of the request is meant, or NULL. */
void problem_reply(struct mhd_reply *reply, unsigned status, const char *code, const char *field,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* 503: the database cannot be reached, try again. */
void problem_reply_down(struct mhd_reply *reply, const struct error *error);

#endif
