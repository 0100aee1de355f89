/*
 * What answers at each address of api_routes.c. A handler finds the caller and his scope, the address's
 * values and a body with known fields only in its call, and replies once.
 */
#ifndef VERIFIER_API_API_HANDLERS_H
#define VERIFIER_API_API_HANDLERS_H

#include "verifier/api/api_call.h"

void api_openapi_show(struct api_call *call);

/* api_list.c, api_domains.c, api_verify.c */
void api_domains_list(struct api_call *call);
void api_domains_add(struct api_call *call);
void api_domains_show(struct api_call *call);
void api_domains_change(struct api_call *call);
void api_domains_remove(struct api_call *call);
void api_domains_verify(struct api_call *call);
void api_domains_suspend(struct api_call *call);
void api_domains_resume(struct api_call *call);

void api_certificates_list(struct api_call *call);
void api_certificates_show(struct api_call *call);
void api_certificates_renew(struct api_call *call);
void api_certificates_remove(struct api_call *call);
/* api_uploads.c */
void api_certificates_upload(struct api_call *call);

void api_events_list(struct api_call *call);

void api_overview_show(struct api_call *call);
void api_explain_show(struct api_call *call);

void api_tenants_list(struct api_call *call);
void api_tenants_create(struct api_call *call);
void api_tenants_show(struct api_call *call);
void api_tenants_change(struct api_call *call);

void api_tokens_list(struct api_call *call);
void api_tokens_create(struct api_call *call);
void api_tokens_show(struct api_call *call);
void api_tokens_revoke(struct api_call *call);

/* api_webhooks.c, api_deliveries.c */
void api_webhooks_list(struct api_call *call);
void api_webhooks_create(struct api_call *call);
void api_webhooks_show(struct api_call *call);
void api_webhooks_change(struct api_call *call);
void api_webhooks_remove(struct api_call *call);
void api_webhooks_rotate(struct api_call *call);
void api_webhooks_test(struct api_call *call);
void api_deliveries_list(struct api_call *call);
void api_deliveries_show(struct api_call *call);
void api_deliveries_redeliver(struct api_call *call);

void api_portal_list(struct api_call *call);
void api_portal_create(struct api_call *call);
void api_portal_show(struct api_call *call);
void api_portal_revoke(struct api_call *call);
void api_portal_revoke_all(struct api_call *call);

void api_session_create(struct api_call *call);
void api_session_show(struct api_call *call);
void api_session_end(struct api_call *call);

#endif
