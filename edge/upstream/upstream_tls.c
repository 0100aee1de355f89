#include "edge/upstream/upstream_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/net.h"

struct upstream_tls {
	SSL_CTX *ctx;
};

static const unsigned char protocols[] = "\x02h2\x08http/1.1";
enum { HTTP2_ENTRY = 3 }; /* bytes at the front */

static bool load_pem(SSL_CTX *ctx, OSSL_LIB_CTX *libctx, BIO *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	bool added = true;
	size_t count = 0;

	while (added) {
		X509 *certificate = X509_new_ex(libctx, NULL);

		if (!certificate || !PEM_read_bio_X509(pem, &certificate, NULL, NULL)) {
			X509_free(certificate);
			break;
		}
		added = X509_STORE_add_cert(store, certificate);
		X509_free(certificate);
		count++;
	}
	/* What follows the last certificate is not read, and no error. */
	ERR_clear_error();
	return added && count > 0;
}

static bool set_trust(SSL_CTX *ctx, OSSL_LIB_CTX *libctx, const struct upstream_config *config)
{
	if (!config->ca)
		return SSL_CTX_set_default_verify_paths(ctx);
	BIO *pem = BIO_new_mem_buf(config->ca, (int)config->ca_size);
	bool loaded = pem && load_pem(ctx, libctx, pem);

	BIO_free(pem);
	return loaded;
}

/* Taken: our reference replaces the one before. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **place = SSL_get_app_data(ssl);

	SSL_SESSION_free(*place);
	*place = session;
	return 1;
}

static bool set_protocols(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
}

struct upstream_tls *upstream_tls_new(
    OSSL_LIB_CTX *libctx, const struct upstream_config *config, struct error *error)
{
	struct upstream_tls *tls = mem_alloc(sizeof *tls);

	tls->ctx = SSL_CTX_new_ex(libctx, NULL, TLS_client_method());
	if (tls->ctx && set_protocols(tls->ctx) && set_trust(tls->ctx, libctx, config))
		return tls;
	error_set(
	    error, "OpenSSL refuses the settings for upstreams: %s", ERR_error_string(ERR_get_error(), NULL));
	ERR_clear_error();
	upstream_tls_free(tls);
	return NULL;
}

void upstream_tls_free(struct upstream_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

/* RFC 6066 section 3: no IP address is sent as a name; a certificate may vouch for one. */
static bool set_name(SSL *ssl, const char *server_name)
{
	struct net_address address;

	if (net_read_host(&address, server_name, 0))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name);
	return SSL_set_tlsext_host_name(ssl, server_name) && SSL_set1_host(ssl, server_name);
}

static bool set_offer(SSL *ssl, bool http2)
{
	size_t skip = http2 ? 0 : HTTP2_ENTRY;

	return SSL_set_alpn_protos(ssl, protocols + skip, (unsigned)(sizeof protocols - 1 - skip)) == 0;
}

SSL *upstream_tls_connect(
    struct upstream_tls *tls, const char *server_name, SSL_SESSION **session, bool http2)
{
	SSL *ssl = SSL_new(tls->ctx);

	if (!ssl || !set_name(ssl, server_name) || !set_offer(ssl, http2)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_app_data(ssl, session);
	if (*session)
		SSL_set_session(ssl, *session);
	SSL_set_connect_state(ssl);
	return ssl;
}

void upstream_tls_describe(const SSL *ssl, struct error *error)
{
	long verified = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (verified != X509_V_OK)
		error_set(error, "its certificate: %s", X509_verify_cert_error_string(verified));
	else
		error_set(error, "%s", reason ? reason : "the connection ended in the handshake");
	ERR_clear_error();
}
