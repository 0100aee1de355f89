/*
 * The dashboard's files, which the program carries inside itself.
 */
#ifndef VERIFIER_WEB_WEB_H
#define VERIFIER_WEB_WEB_H

#include "verifier/http/mhd.h"

bool web_has(const char *path);
/* To a GET of a path that web_has. */
void web_reply(const struct mhd_request *request, struct mhd_reply *reply);

#endif
