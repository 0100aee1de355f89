/*
 * What a node runs by: the settings and what was made of them, as one snapshot that never changes. A reload
 * makes a new one and hands it to each worker by its mailbox; the old one goes with its last reference.
 */
#ifndef EDGE_EDGE_CONFIG_H
#define EDGE_EDGE_CONFIG_H

#include <stdatomic.h>

#include "common/settings/settings.h"
#include "edge/edge_limits.h"
#include "edge/tls/default_names.h"
#include "edge/trust.h"

struct http_config;
struct pass_config;

struct edge_config {
	atomic_int references;
	struct settings *settings;
	struct edge_limits limits;
	int minimum_tls; /* TLS1_2_VERSION or TLS1_3_VERSION; a domain may ask for more */
	struct trust trust;
	struct default_names default_names;
	struct http_config *http;
	struct pass_config *pass;
};

/* Reads the files that the settings name. Takes the settings where it succeeds; the error names the setting
 * and the mend. */
enum result edge_config_load(struct edge_config **out, struct settings **settings, struct error *error);
struct edge_config *edge_config_ref(struct edge_config *config);
void edge_config_unref(struct edge_config *config); /* NULL is fine */

#endif
