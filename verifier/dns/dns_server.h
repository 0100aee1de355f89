/*
 * The operator's zone for delegated dns-01 validations, served over UDP and TCP by one thread with a database
 * connection of its own: TXT records are the digests of live challenges.
 *
 * Limits: 1,000 UDP queries a second, the rest is dropped (a resolver asks again); 32 TCP connections of 5 s
 * and one query each; a look-up 1 s. An answer is little longer than its question, so that a forged sender
 * gains nothing.
 */
#ifndef VERIFIER_DNS_DNS_SERVER_H
#define VERIFIER_DNS_DNS_SERVER_H

#include "common/base/result.h"
#include "verifier/config.h"

struct dns_server;
/* Bound sockets; udp -1: the setting dns-listen is not set. */
struct dns_sockets {
	int udp;
	int tcp;
};

enum result dns_server_bind(struct dns_sockets *out, const struct settings *settings, struct error *error);
/* *out NULL where there is nothing to serve. Takes the sockets over, also where it fails. */
enum result dns_server_start(struct dns_server **out, const struct settings *settings,
    const struct dns_sockets *sockets, struct error *error);
void dns_server_stop(struct dns_server *server);

#endif
