/*
 * Whose dashboard it looks like: the operator's name, logo and colour, out of the settings, checked.
 */
#ifndef VERIFIER_WEB_BRAND_H
#define VERIFIER_WEB_BRAND_H

#include "common/base/buf.h"
#include "common/settings/settings.h"

enum { BRAND_NAME_MAX = 60, BRAND_LOGO_MAX = 128 * 1024, BRAND_CSS_MAX = 4096 };

struct brand {
	const char *name; /* lives as long as the settings */
	struct buf css;   /* the colours as custom properties */
	struct buf logo;  /* empty: ours */
	const char *logo_type;
};

/* clang-format off */
/* Entries of a program's table. */
#define SETTINGS_OF_THE_BRAND                                                                                \
	{"brand-name", SETTING_STRING, 0, "Postern", "Your name, as customers see it in the dashboard.", NULL,   \
	    0, 0},                                                                                               \
	{"brand-logo-file", SETTING_FILE, 0, NULL,                                                               \
	    "Your logo in the dashboard: SVG without scripts or PNG, 128 KiB at most; about square, or wide and " \
	    "28 pixels high.", NULL, 0, 0},                                                                      \
	{"brand-color", SETTING_STRING, 0, "#0f766e",                                                            \
	    "Your colour in the dashboard, as #rrggbb. It is darkened or lightened where it could not be read, " \
	    "for light and dark screens each.", NULL, 0, 0}
/* clang-format on */

/* R_INVALID: the error names the setting and the mend. */
enum result brand_load(struct brand *out, const struct settings *settings, struct error *error);
void brand_fini(struct brand *brand);

#endif
