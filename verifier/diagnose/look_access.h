/*
 * Which name servers may be asked directly: public addresses, and what the operator named in dns-stub or
 * dns-servers. A zone's owner chooses what its name servers' names lead to, and must not choose a machine of
 * ours.
 */
#ifndef VERIFIER_DIAGNOSE_LOOK_ACCESS_H
#define VERIFIER_DIAGNOSE_LOOK_ACCESS_H

#include "common/dns/dns_settings.h"
#include "verifier/diagnose/server_ask.h"

struct look_stub {
	char zone[HOSTNAME_MAX + 1]; /* lower case, no final dot; "": the root */
	struct net_address address;
};

struct look_access {
	size_t stub_count, server_count;
	struct look_stub stubs[DNS_SERVERS_MAX];
	struct net_address servers[DNS_SERVERS_MAX]; /* of dns-servers */
};

/* What the resolver could not read has ended the start before: it is left out. Looks host names up
 * (blocking). */
void look_access_load(struct look_access *out, const struct settings *settings);

/* The stub zone that the name is in, the longest one; NULL: none. */
const char *look_access_stub_zone(const struct look_access *access, const char *name);
/* That zone's servers, at most ASK_SERVERS_MAX. How many. */
size_t look_access_stub_servers(
    const struct look_access *access, const char *zone, struct ask_server out[ASK_SERVERS_MAX]);

/* A name server's address, 4 or 16 bytes. False: it is not to be asked. */
bool look_access_allow(
    const struct look_access *access, const unsigned char *bytes, size_t size, struct ask_server *out);

#endif
