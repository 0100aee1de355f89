/*
 * What postern-acme can be told: its table of settings, and the checks that a single value's type cannot
 * make.
 */
#ifndef ACME_ACME_SETTINGS_H
#define ACME_ACME_SETTINGS_H

#include "acme/ca/ca.h"
#include "acme/webhook/courier.h"
#include "common/settings/settings.h"

extern const struct settings_program acme_program;

/* What the settings say about a CA, the ceilings of its quota too: `prefix` is "acme" or "acme-fallback". The
 * strings live as long as the settings; external.key is the caller's to free. R_NONE: there is no such CA.
 * R_INVALID: the error names the setting. */
enum result acme_settings_ca(
    const struct settings *settings, const char *prefix, struct ca_config *out, struct error *error);

/* What they say about webhooks; `rules` are the caller's to free. R_INVALID: the error names
 * the setting. */
enum result acme_settings_webhooks(
    const struct settings *settings, struct courier_config *out, struct error *error);

#endif
