#include "verifier/http/mhd_client_certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>

/* libmicrohttpd only asks for a certificate, and leaves it to whoever answers a request to look at it. */
void mhd_demand_client_certificate(struct MHD_Connection *connection)
{
	static gnutls_typed_vdata_st purpose = {
	    .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, .size = 0};
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!info)
		abort(); /* a server without TLS was told to check certificates */
	gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(info->tls_session, &purpose, 1, 0);
}
