#include "edge/tls/tls_context.h"

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/hostname.h"
#include "edge/loop/tls_bio.h"

struct tls_context {
	OSSL_LIB_CTX *libctx;
	SSL_CTX *ctx;
	struct ticket_keys *keys;
	/* Fetched once: a fetch takes locks that ticket callbacks should not meet at each handshake. */
	EVP_CIPHER *ticket_cipher;
};

/* AES-128-GCM first where the client has AES; SSL_OP_PRIORITIZE_CHACHA gives clients without it what they
 * want. */
static const char ciphers_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char ciphers_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
/* The hybrid came with OpenSSL 3.5; an older one refuses a list that names it. */
static const char groups_hybrid[] = "X25519MLKEM768:X25519:P-256:P-384";
static const char groups[] = "X25519:P-256:P-384";
static const char acme_protocol[] = "acme-tls/1";

enum { BINDING_MAX = HOSTNAME_MAX + 24 };

static struct tls_session *session_of(const SSL *ssl)
{
	return tls_bio_owner(SSL_get_rbio(ssl));
}

static bool same_extension(SSL *ssl, unsigned type, struct client_hello_slice expected)
{
	const unsigned char *bytes = NULL;
	size_t size = 0;

	if (!SSL_client_hello_get0_ext(ssl, type, &bytes, &size))
		return !expected.bytes;
	return expected.bytes && size == expected.size && memcmp(bytes, expected.bytes, size) == 0;
}

/* OpenSSL calls this again for the hello after a HelloRetryRequest and would accept another name in it: the
 * certificate and the ticket's binding were chosen by the first. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_session *session = session_of(ssl);

	(void)arg;
	if (same_extension(ssl, TLSEXT_TYPE_server_name, session->hello->sni_extension) &&
	    same_extension(
		ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, session->hello->alpn_extension))
		return SSL_CLIENT_HELLO_SUCCESS;
	session->hello_changed = true;
	*alert = SSL_AD_ILLEGAL_PARAMETER;
	return SSL_CLIENT_HELLO_ERROR;
}

/* Without a callback that says OK the name is lost after a TLS 1.2 resumption. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static bool choose_protocol(const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
    unsigned int offered_size, const char *wanted)
{
	for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
		if (offered[at] != strlen(wanted) || memcmp(offered + at + 1, wanted, offered[at]) != 0)
			continue;
		*out = offered + at + 1;
		*out_size = offered[at];
		return true;
	}
	return false;
}

/* RFC 7301 section 3.2: a client that offers nothing we speak gets no_application_protocol. One that can do
 * no better than HTTP/1.0 may say so. All suites of ciphers_12 are such that HTTP/2 may use them (RFC 9113
 * section 9.2.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
    unsigned int offered_size, void *arg)
{
	static const char *const visitors[] = {"h2", "http/1.1", "http/1.0", NULL};
	static const char *const validations[] = {acme_protocol, NULL};
	const struct tls_session *session = session_of(ssl);
	const char *const *wanted = session->challenge ? validations : visitors + !session->http2;

	(void)arg;
	for (; *wanted; wanted++)
		if (choose_protocol(out, out_size, offered, offered_size, *wanted))
			return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_mac_key(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int seal_ticket(struct tls_context *context, struct ticket_key *key, unsigned char *name,
    unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	ticket_keys_newest(context->keys, key);
	memcpy(name, key->name, TICKET_KEY_NAME);
	return RAND_bytes_ex(context->libctx, iv, 16, 0) == 1 &&
	       EVP_EncryptInit_ex(cipher, context->ticket_cipher, NULL, key->cipher, iv) == 1 &&
	       set_mac_key(mac, key);
}

/* 0: no such key, so a full handshake; 2: it opens, but the client should get a newer one. */
static int open_ticket(struct tls_context *context, struct ticket_key *key, const unsigned char *name,
    const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	bool renew = false;

	if (!ticket_keys_find(context->keys, name, key, &renew))
		return 0;
	if (EVP_DecryptInit_ex(cipher, context->ticket_cipher, NULL, key->cipher, iv) != 1 ||
	    !set_mac_key(mac, key))
		return -1;
	return renew ? 2 : 1;
}

static int on_ticket_key(
    SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	int result = sealing ? (seal_ticket(context, &key, name, iv, cipher, mac) ? 1 : -1)
			     : open_ticket(context, &key, name, iv, cipher, mac);

	OPENSSL_cleanse(&key, sizeof key);
	return result;
}

/* What a ticket is bound to, as its application data. */
static size_t write_binding(char binding[BINDING_MAX], const struct tls_session *session)
{
	return (size_t)snprintf(binding, BINDING_MAX, "%" PRId64 " %s", session->version, session->name);
}

static int on_ticket_sealed(SSL *ssl, void *arg)
{
	char binding[BINDING_MAX];
	size_t size = write_binding(binding, session_of(ssl));

	(void)arg;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), binding, size);
}

static bool ticket_is_for(SSL_SESSION *ticket, const struct tls_session *session)
{
	char binding[BINDING_MAX];
	void *bound = NULL;
	size_t size = 0;

	return SSL_SESSION_get0_ticket_appdata(ticket, &bound, &size) && bound &&
	       size == write_binding(binding, session) && memcmp(bound, binding, size) == 0;
}

/* A ticket opens only for the name it was given to, which is the connection's own: SSL_get_servername is NULL
 * here; and as long as that has the certificate which the client was shown. In TLS 1.3 clients use a ticket
 * once: SSL_TICKET_RETURN_USE would leave them without one for the next visit. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *ticket, const unsigned char *key_name,
    size_t key_name_size, SSL_TICKET_STATUS status, void *arg)
{
	const struct tls_session *session = session_of(ssl);

	(void)key_name;
	(void)key_name_size;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (session->challenge || session->no_ticket || !ticket_is_for(ticket, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) >= TLS1_3_VERSION)
		return SSL_TICKET_RETURN_USE_RENEW;
	return SSL_TICKET_RETURN_USE;
}

static bool set_groups(SSL_CTX *ctx)
{
	if (SSL_CTX_set1_groups_list(ctx, groups_hybrid))
		return true;
	ERR_clear_error();
	return SSL_CTX_set1_groups_list(ctx, groups);
}

static bool set_protocols(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One recv for a record's header and body, not two. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_security_level(ctx, 2);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_ciphersuites(ctx, ciphers_13) && SSL_CTX_set_cipher_list(ctx, ciphers_12) &&
	       set_groups(ctx);
}

static bool set_tickets(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_KEY_LIFE_MS / 1000);
	return SSL_CTX_set_num_tickets(ctx, 1) && SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) &&
	       SSL_CTX_set_session_ticket_cb(ctx, on_ticket_sealed, on_ticket_opened, NULL);
}

struct tls_context *tls_context_new(OSSL_LIB_CTX *libctx, struct ticket_keys *keys, struct error *error)
{
	struct tls_context *context = mem_alloc(sizeof *context);

	context->libctx = libctx;
	context->keys = keys;
	context->ticket_cipher = EVP_CIPHER_fetch(libctx, "AES-256-CBC", NULL);
	context->ctx = SSL_CTX_new_ex(libctx, NULL, TLS_server_method());
	if (!context->ticket_cipher || !context->ctx || !set_protocols(context->ctx) ||
	    !set_tickets(context->ctx)) {
		error_set(
		    error, "OpenSSL refuses the TLS settings: %s", ERR_error_string(ERR_get_error(), NULL));
		tls_context_free(context);
		return NULL;
	}
	SSL_CTX_set_app_data(context->ctx, context);
	SSL_CTX_set_client_hello_cb(context->ctx, on_client_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(context->ctx, on_server_name);
	SSL_CTX_set_alpn_select_cb(context->ctx, on_alpn, NULL);
	return context;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ctx);
	EVP_CIPHER_free(context->ticket_cipher);
	free(context);
}

SSL *tls_context_accept(
    struct tls_context *context, struct tls_session *session, int fd, const void *prefix, size_t prefix_size)
{
	SSL *ssl = SSL_new(context->ctx);
	BIO *bio = tls_bio_new(fd, prefix, prefix_size);

	if (!ssl || !bio) {
		SSL_free(ssl);
		BIO_free(bio);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	tls_bio_set_owner(bio, session);
	SSL_set_accept_state(ssl);
	if (session->challenge || session->no_ticket) {
		/* Either alone still leaves tickets in one of the two protocol versions. */
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_set_num_tickets(ssl, 0);
	}
	return ssl;
}

/* Its bytes are wiped; OpenSSL keeps what is left, and would keep it whole as long as the connection. */
static void wipe_key(EVP_PKEY *key)
{
	EVP_PKEY_set_type(key, EVP_PKEY_X25519);
	EVP_PKEY_free(key);
}

void tls_context_accepted(SSL *ssl)
{
	BIO *bio = SSL_get_rbio(ssl);
	EVP_PKEY *key = NULL;

	tls_bio_drop_prefix(bio);
	tls_bio_set_owner(bio, NULL);
	SSL_set_tlsext_host_name(ssl, NULL);
	if (SSL_get_tmp_key(ssl, &key))
		wipe_key(key);
	if (SSL_get_peer_tmp_key(ssl, &key))
		wipe_key(key);
}

static const char *failure_of_reason(int reason)
{
	/* An alert from the peer stands in the queue as an offset and the alert's number. */
	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		return "client_alert";
	switch (reason) {
	case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "client_left";
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SHARED_GROUPS: return "nothing_shared";
	case SSL_R_NO_APPLICATION_PROTOCOL: return "no_application_protocol";
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_WRONG_VERSION_NUMBER: return "protocol_version";
	default: return "protocol";
	}
}

const char *tls_context_failure(const struct tls_session *session, int ssl_error)
{
	unsigned long code = ERR_peek_error();

	ERR_clear_error();
	if (session->hello_changed)
		return "hello_changed";
	if (ssl_error == SSL_ERROR_SYSCALL || ssl_error == SSL_ERROR_ZERO_RETURN)
		return "client_left";
	return failure_of_reason(ERR_GET_REASON(code));
}
