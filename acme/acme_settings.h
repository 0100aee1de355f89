/*
 * What postern-acme can be told: its table of settings, and the checks that a single value's type cannot
 * make.
 */
#ifndef ACME_ACME_SETTINGS_H
#define ACME_ACME_SETTINGS_H

#include "common/settings.h"

extern const struct settings_program acme_program;

/* R_INVALID: the error names the setting and the mend. */
enum result acme_settings_check(const struct settings *settings, struct error *error);

#endif
