/*
 * The dashboard's files, which the program carries inside itself.
 */
#ifndef VERIFIER_WEB_H
#define VERIFIER_WEB_H

#include "verifier/mhd.h"

/* False where there is no such file; nothing was replied then. */
bool web_reply(const struct mhd_request *request, struct mhd_reply *reply);

#endif
