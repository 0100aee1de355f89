/*
 * The verifier's settings, checked and in the form its modules use. Read once at start, then only read.
 */
#ifndef VERIFIER_CONFIG_H
#define VERIFIER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"
#include "common/dns/our_place.h"
#include "common/dns/webhook_target.h"
#include "common/seal/seal.h"
#include "common/settings/settings.h"
#include "verifier/claim/claim_rules.h"
#include "verifier/web/brand.h"

/* A token of a TXT record that another system made may have any length up to this. */
enum { CONFIG_HASH = 32, TXT_LABEL_MAX = 63, TXT_TOKEN_LEAST = 16, TXT_TOKEN_MAX = 120 };

struct config {
	struct settings *settings;
	struct our_place place;
	const char *txt_label;
	struct claim_rules rules;
	int api_rate;                /* requests of a token in a second */
	bool secure_cookie;          /* public-url is https */
	char origin[300];            /* scheme://host[:port] of public-url; "": take the request's Host */
	struct hostname public_host; /* of public-url; "": it is not set, or no host name */
	struct brand brand;
	char *frame_ancestors; /* who may show the portal in a frame, for CSP; NULL: nobody */
	unsigned char admin_token_hash[CONFIG_HASH];
	unsigned char ask_token_hash[CONFIG_HASH];
	bool ask_token_set;
	char *ask_certificate; /* PEM; NULL: no TLS */
	char *ask_key;
	char *ask_client_ca; /* PEM; NULL: clients need no certificate */
	struct webhook_rules webhooks;
	struct seal_keys *seal_keys; /* public halves; NULL: nothing can be sealed */
};

/* The table, for --help and tests. */
extern const struct settings_program config_program;

/* As settings_load: R_NONE after --help, R_INVALID with the place and the mend. Reads the files that settings
 * name. */
enum result config_load(struct config **out, int argc, char **argv, struct error *error);
void config_free(struct config *config);

/* [a-z0-9][a-z0-9_-]{0,62} */
bool config_is_tenant(const char *text);

#endif
