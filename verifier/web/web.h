/*
 * What browsers get of the dashboard: its page with the operator's name in it, style, scripts, logo, each
 * with the headers that keep strangers' scripts and frames out. The page is the same for everybody, holds
 * nothing of anybody, and gets everything from the API.
 */
#ifndef VERIFIER_WEB_WEB_H
#define VERIFIER_WEB_WEB_H

#include "verifier/config.h"
#include "verifier/http/mhd.h"

struct web;

struct web *web_new(const struct config *config);
void web_free(struct web *web);
bool web_has(const struct web *web, const char *path);
/* To a GET of a path that web_has. */
void web_reply(const struct web *web, const struct mhd_request *request, struct mhd_reply *reply);

#endif
