/*
 * What a domain's row asks the edge to do for its name: options as JSON in, a checked struct out. A key that
 * is unknown or a value that is wrong is left out and logged (at most one line a second); it never keeps a
 * site from being served.
 */
#ifndef EDGE_SITE_OPTIONS_H
#define EDGE_SITE_OPTIONS_H

#include "edge/site/site.h"

/* `tenant` and `lines` may be NULL: there is no row, or it asks for nothing. Each line is a JSON object of
 * one option, so that none can spoil the others. `name` is for the log. The strings are the caller's, until
 * site_options_fini. */
void site_options_read(struct site_options *out, const char *tenant, const char *lines, const char *name);
void site_options_fini(struct site_options *options);

#endif
