/*
 * Certificates of an HTTPS server's clients: each must show one, and it is judged in the handshake, by the
 * CAs that the server was started with.
 */
#ifndef VERIFIER_HTTP_MHD_CLIENT_CERTIFICATE_H
#define VERIFIER_HTTP_MHD_CLIENT_CERTIFICATE_H

#include <microhttpd.h>

/* Before the connection's handshake. */
void mhd_demand_client_certificate(struct MHD_Connection *connection);

#endif
