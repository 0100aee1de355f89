/*
 * The name servers of a look, as the judges speak of them: those that do something, counted, and listed for a
 * sentence.
 */
#ifndef VERIFIER_DIAGNOSE_JUDGE_SERVERS_H
#define VERIFIER_DIAGNOSE_JUDGE_SERVERS_H

#include "verifier/diagnose/judge.h"

struct server_list {
	size_t count;
	char text[400]; /* "ns1.example, ns2.example and 2 more" */
};
void server_list_add(struct server_list *list, const struct server_look *server);

/* Says something about one server; `arg` as it was given. */
typedef bool server_test(const struct judge_case *facts, const struct server_look *server);
/* Those among the servers that were asked and answer. */
struct server_list judge_servers(const struct judge_case *facts, server_test *test);

/* Do some of the servers hold another provider's copy of the zone? */
bool judge_zone_is_split(const struct judge_case *facts);
/* "": not known. */
const char *judge_zone_name(const struct judge_case *facts);

/* "ns1.example knows it already (1 of 3 name servers)". */
void judge_say_spreading(struct verdict *verdict, const char *what, const struct server_list *having,
    const struct server_list *lacking);

#endif
