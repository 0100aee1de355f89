/*
 * What a thorough look at a domain's DNS has seen: its zone and name servers, what each of these says, and
 * the places where a record may have landed by mistake. Plain data, for the judges; dns_look_run.h fills it.
 *
 * Nothing in it proves anything: whose a name is, is decided by the ordinary check's validated look-ups
 * alone.
 */
#ifndef VERIFIER_DIAGNOSE_DNS_LOOK_H
#define VERIFIER_DIAGNOSE_DNS_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dns/caa.h"
#include "common/dns/resolver.h"
#include "common/net/net.h"

/* Servers that are asked, of those that are named; names of a chain of aliases. */
enum { LOOK_SERVERS_MAX = 8, LOOK_NAMES_MAX = 16, LOOK_CHAIN_MAX = 8 };

/* What a server said to whether it has the zone. */
enum server_standing {
	SERVER_ANSWERS,
	SERVER_SILENT,
	SERVER_FAILS,   /* SERVFAIL */
	SERVER_REFUSES, /* REFUSED, NOTAUTH and the like */
	SERVER_IS_LAME, /* an answer without authority, or that there is no such zone */
	SERVER_GARBLES, /* no DNS, or more than is read */
	SERVER_PRIVATE, /* its address is private, or this machine's: it was not asked */
};

struct server_look {
	char name[HOSTNAME_MAX + 1];
	char address[NET_ADDRESS_TEXT]; /* "": its name has none, and it was not asked */
	enum server_standing standing;
	/* The rest where it answers. */
	bool has_serial;
	uint32_t serial;                /* of the zone */
	char primary[HOSTNAME_MAX + 1]; /* the zone's first server, as it says */
	char alias[HOSTNAME_MAX + 1];   /* of the domain; "": it is none */
	bool alias_loops;
	struct resolver_answer txt, a, aaaa; /* of the record's name, of the domain */
	struct resolver_answer caa;          /* of the domain, or where it has none, of the zone */
};

enum zone_standing {
	ZONE_UNKNOWN,
	ZONE_FOUND,
	ZONE_NONE, /* the registry does not know the domain */
};

struct zone_look {
	enum zone_standing standing;
	char name[HOSTNAME_MAX + 1];
	size_t name_count; /* of its servers, whether asked or not */
	char names[LOOK_NAMES_MAX][HOSTNAME_MAX + 1];
};

struct dns_look {
	char name[HOSTNAME_MAX + 1]; /* the domain's */
	struct zone_look zone;
	size_t server_count;
	struct server_look servers[LOOK_SERVERS_MAX];
	/* Where a TXT record lands by mistake: the domain itself; the right name with the zone after it; the
	 * label on the zone. And a CNAME: the domain with the zone after it. */
	struct resolver_answer bare, doubled, without_subdomain, doubled_cname;
	char doubled_name[2 * HOSTNAME_MAX + 2], without_subdomain_name[2 * HOSTNAME_MAX + 2];
	char doubled_cname_name[2 * HOSTNAME_MAX + 2];
	size_t climb_count;
	const char *climb[CAA_CLIMB_MAX]; /* into `name` */
	struct resolver_answer caa[CAA_CLIMB_MAX];
	size_t chain_count; /* of aliases that were followed because the addresses could not be looked up */
	char chain[LOOK_CHAIN_MAX][HOSTNAME_MAX + 1];
	bool chain_loops;
	bool root_is_bogus; /* then validation itself is at fault, not the domain */
};

/* With what it holds. */
void dns_look_free(struct dns_look *look);

#endif
