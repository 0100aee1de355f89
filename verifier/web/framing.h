/*
 * Whose pages may show the portal in a frame: by default nobody's. The rest of the dashboard never is shown
 * in one.
 */
#ifndef VERIFIER_WEB_FRAMING_H
#define VERIFIER_WEB_FRAMING_H

#include "common/settings/settings.h"

enum { FRAMING_MAX = 400 };

/* clang-format off */
#define SETTING_OF_FRAMING                                                                                   \
	{"portal-frame-ancestors", SETTING_STRING, SETTING_REPEAT, NULL,                                         \
	    "Origins (https://app.acme-saas.io) whose pages may show /portal in a frame, the one of a portal's "  \
	    "link. public-url must be https, else browsers keep a session there for pages of its own site only. " \
	    "Default: none.", NULL, 0, 0}
/* clang-format on */

/* *out is the value of CSP's frame-ancestors, to be freed; NULL: nobody. R_INVALID: the error says which
 * origin is none. */
enum result framing_load(char **out, const struct settings *settings, struct error *error);

#endif
