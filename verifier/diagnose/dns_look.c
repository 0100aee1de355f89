#include "verifier/diagnose/dns_look.h"

#include <stdlib.h>

void dns_look_free(struct dns_look *look)
{
	if (!look)
		return;
	struct resolver_answer *answers[] = {
	    &look->bare, &look->doubled, &look->without_subdomain, &look->doubled_cname};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		resolver_answer_free(answers[i]);
	for (size_t i = 0; i < look->climb_count; i++)
		resolver_answer_free(&look->caa[i]);
	for (size_t i = 0; i < look->server_count; i++) {
		struct server_look *server = &look->servers[i];
		resolver_answer_free(&server->txt);
		resolver_answer_free(&server->a);
		resolver_answer_free(&server->aaaa);
		resolver_answer_free(&server->caa);
	}
	free(look);
}
