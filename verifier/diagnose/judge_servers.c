#include "verifier/diagnose/judge_servers.h"

#include <stdio.h>
#include <string.h>

void server_list_add(struct server_list *list, const struct server_look *server)
{
	enum { NAMED = 3 };
	size_t used = strlen(list->text);
	const char *name = server->name[0] ? server->name : server->address;
	if (list->count++ < NAMED) {
		snprintf(list->text + used, sizeof list->text - used, "%s%s", used ? ", " : "", name);
		return;
	}
	char *more = strstr(list->text, " and ");
	used = more ? (size_t)(more - list->text) : used;
	snprintf(list->text + used, sizeof list->text - used, " and %zu more", list->count - NAMED);
}

struct server_list judge_servers(const struct judge_case *facts, server_test *test)
{
	struct server_list list = {.count = 0};
	for (size_t i = 0; facts->look && i < facts->look->server_count; i++) {
		const struct server_look *server = &facts->look->servers[i];
		if (server->standing == SERVER_ANSWERS && test(facts, server))
			server_list_add(&list, server);
	}
	return list;
}

/* Copies of one zone name one server as their source. */
bool judge_zone_is_split(const struct judge_case *facts)
{
	const char *first = NULL;
	for (size_t i = 0; facts->look && i < facts->look->server_count; i++) {
		const struct server_look *server = &facts->look->servers[i];
		if (server->standing != SERVER_ANSWERS || !server->primary[0])
			continue;
		if (first && strcmp(first, server->primary) != 0)
			return true;
		first = server->primary;
	}
	return false;
}

const char *judge_zone_name(const struct judge_case *facts)
{
	if (facts->look && facts->look->zone.standing == ZONE_FOUND)
		return facts->look->zone.name;
	const char *registrable = hostname_registrable(facts->name);
	return registrable ? registrable : "";
}

void judge_say_spreading(struct verdict *verdict, const char *what, const struct server_list *having,
    const struct server_list *lacking)
{
	verdict_say(verdict, "%s on %zu of %zu name servers: %s %s not have it yet.", what, having->count,
	    having->count + lacking->count, lacking->text, lacking->count == 1 ? "does" : "do");
	verdict_mend(verdict,
	    "Nothing is left to do but to wait: the DNS provider is still copying the change to "
	    "all of its servers, which takes minutes as a rule.");
}
