/*
 * Who delivers webhooks: one thread, one database connection, as many endpoints at a time as it is told, each
 * with one request under way. Endpoints that hang or die hold up nobody but themselves.
 */
#ifndef ACME_WEBHOOK_COURIER_H
#define ACME_WEBHOOK_COURIER_H

#include "common/dns/resolver.h"
#include "common/dns/webhook_target.h"
#include "common/seal/seal.h"

struct courier;

enum { COURIER_ENDPOINTS_MAX = 256 };

struct courier_config {
	const char *database;
	const char *ca_file; /* of receivers with a private CA; NULL: the system's alone */
	int endpoints;       /* at a time */
	int64_t patience_ms; /* an endpoint that fails for so long is switched off */
	struct webhook_rules rules;
	const struct seal_keys *keys;
	struct resolver *resolver;
};

/* What *config points to must outlive it. */
struct courier *courier_start(const struct courier_config *config);
/* What is under way has two seconds to end; what is cut off is sent again, by whoever comes. NULL is fine. */
void courier_stop(struct courier *courier);

#endif
