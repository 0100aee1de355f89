#include "verifier/webhook/webhook_types.h"

#include <stddef.h>
#include <string.h>

const char *const webhook_types[] = {"domain.added", "domain.imported", "domain.deleted", "domain.verified",
    "domain.drifted", "domain.recovered", "domain.suspended", "domain.resumed", "domain.released",
    "domain.taken_over", "domain.options_changed", "certificate.issued", "certificate.failing",
    "certificate.expiring", "certificate.expired", "certificate.uploaded", "certificate.removed",
    "certificate.renewal_forced", "tenant.created", "tenant.changed", "token.created", "token.revoked",
    "webhook.created", "webhook.changed", "webhook.removed", "webhook.secret_rotated", "webhook.disabled",
    "portal.link_created", "portal.link_revoked", "portal.opened", NULL};

/* `domain.*`: as long as the kind and its dot. */
static size_t kind_size(const char *pattern)
{
	size_t size = strlen(pattern);
	return size >= 3 && strcmp(pattern + size - 2, ".*") == 0 ? size - 1 : 0;
}

bool webhook_types_has(const char *pattern)
{
	size_t kind = kind_size(pattern);
	for (size_t i = 0; webhook_types[i]; i++)
		if (kind ? strncmp(webhook_types[i], pattern, kind) == 0
			 : strcmp(webhook_types[i], pattern) == 0)
			return true;
	return false;
}
