#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "edge/tls/client_hello.h"

/* A hello that is built by hand; each test bends one part. */
struct parts {
	const char *sni;      /* host name; NULL: no extension */
	size_t sni_size;      /* 0: strlen */
	const char *alpn;     /* wire format of the list; NULL: none */
	const char *versions; /* pairs of bytes; NULL: none */
	size_t versions_size;
	int legacy_version; /* 0: 0x0303 */
	const char *extra;  /* raw extensions behind the others */
	size_t extra_size;
};

static void put(struct buf *buf, const void *bytes, size_t size)
{
	assert_int_equal(buf_append(buf, bytes, size), R_OK);
}

static void put_number(struct buf *buf, size_t width, size_t value)
{
	for (size_t i = width; i-- > 0;)
		put(buf, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void put_extension(struct buf *buf, size_t type, const void *bytes, size_t size)
{
	put_number(buf, 2, type);
	put_number(buf, 2, size);
	put(buf, bytes, size);
}

static void put_sni(struct buf *buf, const char *name, size_t size)
{
	struct buf body;

	buf_init(&body, 70000);
	put_number(&body, 2, size + 3);
	put_number(&body, 1, 0);
	put_number(&body, 2, size);
	put(&body, name, size);
	put_extension(buf, 0, buf_bytes(&body), buf_size(&body));
	buf_fini(&body);
}

static void put_alpn(struct buf *buf, const char *list)
{
	struct buf body;

	buf_init(&body, 70000);
	put_number(&body, 2, strlen(list));
	put(&body, list, strlen(list));
	put_extension(buf, 16, buf_bytes(&body), buf_size(&body));
	buf_fini(&body);
}

static void put_versions(struct buf *buf, const char *versions, size_t size)
{
	struct buf body;

	buf_init(&body, 1000);
	put_number(&body, 1, size);
	put(&body, versions, size);
	put_extension(buf, 43, buf_bytes(&body), buf_size(&body));
	buf_fini(&body);
}

/* The handshake message without record header. */
static void build_message(struct buf *out, const struct parts *parts)
{
	struct buf body, extensions;

	buf_init(&body, 200000);
	buf_init(&extensions, 200000);
	if (parts->sni)
		put_sni(&extensions, parts->sni, parts->sni_size ? parts->sni_size : strlen(parts->sni));
	if (parts->alpn)
		put_alpn(&extensions, parts->alpn);
	if (parts->versions)
		put_versions(&extensions, parts->versions, parts->versions_size);
	put(&extensions, parts->extra, parts->extra_size);
	put_number(&body, 2, (size_t)(parts->legacy_version ? parts->legacy_version : 0x0303));
	for (int i = 0; i < 32; i++)
		put_number(&body, 1, 7);
	put_number(&body, 1, 0);
	put_number(&body, 2, 2);
	put_number(&body, 2, 0x1301);
	put_number(&body, 2, 0x0100);
	put_number(&body, 2, buf_size(&extensions));
	put(&body, buf_bytes(&extensions), buf_size(&extensions));
	put_number(out, 1, 1);
	put_number(out, 3, buf_size(&body));
	put(out, buf_bytes(&body), buf_size(&body));
	buf_fini(&body);
	buf_fini(&extensions);
}

/* Into records of at most `fragment` bytes. */
static void put_records(struct buf *out, const char *message, size_t size, size_t fragment)
{
	while (size > 0) {
		size_t take = size < fragment ? size : fragment;

		put(out, "\x16\x03\x01", 3);
		put_number(out, 2, take);
		put(out, message, take);
		message += take;
		size -= take;
	}
}

static void build(struct buf *out, const struct parts *parts, size_t fragment)
{
	struct buf message;

	buf_init(&message, 200000);
	buf_init(out, 400000);
	build_message(&message, parts);
	put_records(out, buf_bytes(&message), buf_size(&message), fragment);
	buf_fini(&message);
}

static const struct parts usual = {.sni = "shop.client-brand.com",
    .alpn = "\x02h2\x08http/1.1",
    .versions = "\x03\x04\x03\x03",
    .versions_size = 4};

/* Parses a copy of exactly that size, so that a sanitizer sees a byte too far. */
static enum result parse_exact(struct client_hello *out, uint8_t **copy, const char *bytes, size_t size)
{
	*copy = mem_copy(bytes, size);
	return client_hello_parse(out, *copy, size);
}

static void assert_refused(const struct buf *wire, enum client_hello_problem problem, enum tls_alert alert)
{
	struct client_hello hello;
	uint8_t *copy = NULL;

	assert_int_equal(parse_exact(&hello, &copy, buf_bytes(wire), buf_size(wire)), R_INVALID);
	assert_int_equal(hello.problem, problem);
	assert_int_equal(hello.alert, alert);
	client_hello_fini(&hello);
	free(copy);
}

static void assert_name(const struct client_hello *hello, const char *name)
{
	assert_int_equal(hello->server_name.size, strlen(name));
	assert_memory_equal(hello->server_name.bytes, name, strlen(name));
}

static void assert_usual(const struct client_hello *hello)
{
	assert_name(hello, usual.sni);
	assert_true(hello->offers_tls12);
	assert_true(hello->offers_tls13);
	assert_false(client_hello_offers_only(hello, "http/1.1"));
	assert_false(client_hello_offers_only(hello, "h2"));
}

static void name_protocols_and_versions_are_read(void **state)
{
	struct client_hello hello;
	struct buf wire;

	(void)state;
	build(&wire, &usual, SIZE_MAX);
	assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
	assert_usual(&hello);
	assert_null(hello.assembled);
	client_hello_fini(&hello);
	buf_fini(&wire);
}

static void every_truncation_asks_for_more(void **state)
{
	static const size_t fragments[] = {16384, 100, 7, 4, 3, 1};

	(void)state;
	for (size_t f = 0; f < sizeof fragments / sizeof *fragments; f++) {
		struct client_hello hello;
		struct buf wire;
		uint8_t *copy = NULL;

		build(&wire, &usual, fragments[f]);
		for (size_t size = 0; size < buf_size(&wire); size++) {
			assert_int_equal(parse_exact(&hello, &copy, buf_bytes(&wire), size), R_AGAIN);
			free(copy);
		}
		assert_int_equal(parse_exact(&hello, &copy, buf_bytes(&wire), buf_size(&wire)), R_OK);
		assert_usual(&hello);
		client_hello_fini(&hello);
		free(copy);
		buf_fini(&wire);
	}
}

static void bytes_behind_the_hello_are_left_alone(void **state)
{
	struct client_hello hello;
	struct buf wire;

	(void)state;
	build(&wire, &usual, SIZE_MAX);
	put(&wire, "\x14\x03\x03\x00\x01\x01 early data", 17);
	assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
	assert_usual(&hello);
	client_hello_fini(&hello);
	buf_fini(&wire);
}

static void hello_of_over_a_thousand_records_is_too_large(void **state)
{
	static const char padding[1100] = "\x00\x15\x04\x48"; /* extension padding, 1,096 bytes */
	struct parts parts = usual;
	struct buf wire;

	(void)state;
	parts.extra = padding;
	parts.extra_size = sizeof padding;
	build(&wire, &parts, 1);
	assert_refused(&wire, CLIENT_HELLO_TOO_LARGE, TLS_ALERT_DECODE_ERROR);
	buf_fini(&wire);
}

static void hello_over_16_kib_is_too_large(void **state)
{
	static const char padding[20000] = "\x00\x15\x4e\x1c"; /* extension padding, 19,996 bytes */
	struct parts parts = usual;
	struct client_hello hello;
	struct buf wire;

	(void)state;
	parts.extra = padding;
	parts.extra_size = sizeof padding;
	build(&wire, &parts, 16384);
	assert_refused(&wire, CLIENT_HELLO_TOO_LARGE, TLS_ALERT_DECODE_ERROR);
	/* Known from its header alone. */
	assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), 9), R_INVALID);
	buf_fini(&wire);
}

static void hello_without_extensions_has_no_name(void **state)
{
	struct client_hello hello;
	struct buf wire, message;

	(void)state;
	buf_init(&message, 1000);
	buf_init(&wire, 1000);
	put(&message, "\x01\x00\x00\x29\x03\x03", 6);
	for (int i = 0; i < 32; i++)
		put_number(&message, 1, 1);
	put(&message, "\x00\x00\x02\xc0\x2b\x01\x00", 7);
	put_records(&wire, buf_bytes(&message), buf_size(&message), SIZE_MAX);
	assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
	assert_null(hello.server_name.bytes);
	assert_null(hello.alpn_extension.bytes);
	assert_false(client_hello_offers_only(&hello, "http/1.1"));
	assert_true(hello.offers_tls12);
	assert_false(hello.offers_tls13);
	buf_fini(&wire);
	buf_fini(&message);
}

static void names_of_any_bytes_reach_the_name_check(void **state)
{
	static char long_name[300];
	const struct parts cases[] = {
	    {.sni = "a\0b.example", .sni_size = 11},
	    {.sni = long_name, .sni_size = 255},
	    {.sni = long_name, .sni_size = 300},
	    {.sni = "192.0.2.1"},
	    {.sni = "\xff\xfe"},
	};

	(void)state;
	memset(long_name, 'a', sizeof long_name);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client_hello hello;
		struct buf wire;

		build(&wire, &cases[i], SIZE_MAX);
		assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
		assert_int_equal(
		    hello.server_name.size, cases[i].sni_size ? cases[i].sni_size : strlen(cases[i].sni));
		client_hello_fini(&hello);
		buf_fini(&wire);
	}
}

static void only_acme_counts_as_sole_protocol(void **state)
{
	static const struct {
		const char *alpn;
		bool only;
	} cases[] = {
	    {"\x0a"
	     "acme-tls/1",
		true},
	    {"\x0a"
	     "acme-tls/1\x08http/1.1",
		false},
	    {"\x08http/1.1\x0a"
	     "acme-tls/1",
		false},
	    {"\x0a"
	     "acme-tls/1\x0a"
	     "acme-tls/1",
		false},
	    {"\x0b"
	     "acme-tls/1x",
		false},
	    {"\x09"
	     "acme-tls/",
		false},
	    {NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct parts parts = {.sni = "a.example", .alpn = cases[i].alpn};
		struct client_hello hello;
		struct buf wire;

		build(&wire, &parts, SIZE_MAX);
		assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
		assert_int_equal(client_hello_offers_only(&hello, "acme-tls/1"), cases[i].only);
		client_hello_fini(&hello);
		buf_fini(&wire);
	}
}

static void old_versions_get_protocol_version(void **state)
{
	const struct parts cases[] = {
	    {.sni = "a.example", .legacy_version = 0x0302},
	    {.sni = "a.example", .legacy_version = 0x0300},
	    {.sni = "a.example", .versions = "\x03\x02\x03\x01", .versions_size = 4},
	    {.sni = "a.example", .versions = "\x1a\x1a", .versions_size = 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf wire;

		build(&wire, &cases[i], SIZE_MAX);
		assert_refused(&wire, CLIENT_HELLO_OLD_VERSION, TLS_ALERT_PROTOCOL_VERSION);
		buf_fini(&wire);
	}
}

static void version_list_overrides_the_version_field(void **state)
{
	struct parts parts = {
	    .sni = "a.example", .legacy_version = 0x0301, .versions = "\x1a\x1a\x03\x04", .versions_size = 4};
	struct client_hello hello;
	struct buf wire;

	(void)state;
	build(&wire, &parts, SIZE_MAX);
	assert_int_equal(client_hello_parse(&hello, buf_bytes(&wire), buf_size(&wire)), R_OK);
	assert_false(hello.offers_tls12);
	assert_true(hello.offers_tls13);
	buf_fini(&wire);
}

/* Extensions, each malformed in itself. */
static void malformed_extensions_are_refused(void **state)
{
#define EXTRA(text) \
	{ \
		.extra = (text), .extra_size = sizeof(text) - 1 \
	}
	static const struct parts cases[] = {
	    EXTRA("\x00"),                                 /* half a type */
	    EXTRA("\x00\x00\x00"),                         /* half a length */
	    EXTRA("\x00\x00\x00\x01"),                     /* length past the end */
	    EXTRA("\x00\x00\x00\x00"),                     /* empty server_name */
	    EXTRA("\x00\x00\x00\x02\x00\x00"),             /* empty list */
	    EXTRA("\x00\x00\x00\x05\x00\x03\x00\x00\x00"), /* zero-length name */
	    EXTRA("\x00\x00\x00\x06\x00\x04\x01\x00\x01"
		  "a"), /* not host_name */
	    EXTRA("\x00\x00\x00\x0a\x00\x08\x00\x00\x01"
		  "a\x00\x00\x01"
		  "b"), /* two names */
	    EXTRA("\x00\x00\x00\x07\x00\x05\x00\x00\x01"
		  "ab"), /* byte behind the name */
	    EXTRA("\x00\x00\x00\x07\x00\x04\x00\x00\x01"
		  "ab"), /* byte behind the list */
	    EXTRA("\x00\x00\x00\x06\x00\x04\x00\x00\x02"
		  "a"),                                /* name past the list */
	    EXTRA("\x00\x10\x00\x00"),                 /* empty ALPN */
	    EXTRA("\x00\x10\x00\x02\x00\x00"),         /* empty list */
	    EXTRA("\x00\x10\x00\x04\x00\x02\x00\x00"), /* empty protocols */
	    EXTRA("\x00\x10\x00\x04\x00\x02\x02h"),    /* protocol past the list */
	    EXTRA("\x00\x10\x00\x05\x00\x02\x01hx"),   /* byte behind the list */
	    EXTRA("\x00\x2b\x00\x00"),                 /* empty versions */
	    EXTRA("\x00\x2b\x00\x01\x00"),             /* empty list */
	    EXTRA("\x00\x2b\x00\x04\x03\x03\x04\x03"), /* odd list */
	    EXTRA("\x00\x2b\x00\x04\x02\x03\x04\x03"), /* byte behind the list */
	};
#undef EXTRA

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf wire;

		build(&wire, &cases[i], SIZE_MAX);
		assert_refused(&wire, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR);
		buf_fini(&wire);
	}
}

static void second_extension_of_a_kind_is_refused(void **state)
{
	static const char sni[] = "\x00\x00\x00\x0a\x00\x08\x00\x00\x05other";
	static const char alpn[] = "\x00\x10\x00\x05\x00\x03\x02h2";
	static const char versions[] = "\x00\x2b\x00\x03\x02\x03\x04";
	const struct {
		const char *bytes;
		size_t size;
	} cases[] = {{sni, sizeof sni - 1}, {alpn, sizeof alpn - 1}, {versions, sizeof versions - 1}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct parts parts = usual;
		struct buf wire;

		parts.extra = cases[i].bytes;
		parts.extra_size = cases[i].size;
		build(&wire, &parts, SIZE_MAX);
		assert_refused(&wire, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR);
		buf_fini(&wire);
	}
}

/* Wire bytes that no hello starts with, and the shortest prefix that shows it. */
static void what_is_not_a_hello_is_refused_at_its_first_wrong_byte(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum client_hello_problem problem;
		enum tls_alert alert;
	} cases[] = {
	    {"G", 1, CLIENT_HELLO_NOT_TLS, TLS_ALERT_DECODE_ERROR},
	    {"\x80", 1, CLIENT_HELLO_NOT_TLS, TLS_ALERT_DECODE_ERROR},
	    {"\x16\x02", 2, CLIENT_HELLO_NOT_TLS, TLS_ALERT_DECODE_ERROR},
	    {"\x16\x03\x01\x00\x00", 5, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR},
	    {"\x16\x03\x01\x40\x01", 5, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR},
	    {"\x16\x03\x01\x01\x00\x02", 6, CLIENT_HELLO_MALFORMED, TLS_ALERT_UNEXPECTED_MESSAGE},
	    {"\x16\x03\x01\x01\x00\x01\x01\x00\x00", 9, CLIENT_HELLO_TOO_LARGE, TLS_ALERT_DECODE_ERROR},
	    {"\x16\x03\x01\x00\x02\x01\x00\x15", 8, CLIENT_HELLO_MALFORMED, TLS_ALERT_UNEXPECTED_MESSAGE},
	    {"\x16\x03\x01\x00\x02\x01\x00\x16\x05", 9, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client_hello hello;

		assert_int_equal(client_hello_parse(&hello, cases[i].bytes, cases[i].size - 1), R_AGAIN);
		assert_int_equal(client_hello_parse(&hello, cases[i].bytes, cases[i].size), R_INVALID);
		assert_int_equal(hello.problem, cases[i].problem);
		assert_int_equal(hello.alert, cases[i].alert);
	}
}

/* The message says it is shorter or longer than its parts: every length of the message header. */
static void message_cut_anywhere_is_refused(void **state)
{
	struct buf message;

	(void)state;
	buf_init(&message, 10000);
	build_message(&message, &usual);
	for (size_t size = 4; size < buf_size(&message); size++) {
		uint8_t *cut = mem_copy(buf_bytes(&message), size);
		struct buf wire;

		/* 43 bytes end behind the compression methods: a hello without extensions is a hello. */
		if (size == 4 + 41)
			goto next;
		cut[2] = (uint8_t)((size - 4) >> 8);
		cut[3] = (uint8_t)(size - 4);
		buf_init(&wire, 10000);
		put_records(&wire, (const char *)cut, size, SIZE_MAX);
		assert_refused(&wire, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR);
		buf_fini(&wire);
	next:
		free(cut);
	}
	buf_fini(&message);
}

static void flipped_bytes_never_read_outside(void **state)
{
	struct buf wire;

	(void)state;
	build(&wire, &usual, 60);
	for (size_t at = 0; at < buf_size(&wire); at++) {
		for (int value = 0; value < 256; value += 5) {
			uint8_t *copy = mem_copy(buf_bytes(&wire), buf_size(&wire));
			struct client_hello hello;

			copy[at] = (uint8_t)value;
			if (client_hello_parse(&hello, copy, buf_size(&wire)) != R_AGAIN)
				client_hello_fini(&hello);
			free(copy);
		}
	}
	buf_fini(&wire);
}

/* What OpenSSL's own client sends, as a check against our reading of the RFC. */
static void hello_of_openssl_is_read(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem());
	BIO *out = BIO_new(BIO_s_mem());
	struct client_hello hello;
	char *bytes = NULL;

	(void)state;
	SSL_set_bio(ssl, in, out);
	SSL_set_tlsext_host_name(ssl, usual.sni);
	SSL_set_alpn_protos(ssl, (const unsigned char *)usual.alpn, (unsigned)strlen(usual.alpn));
	assert_int_equal(SSL_connect(ssl), -1);
	long size = BIO_get_mem_data(out, &bytes);
	assert_true(size > 100);
	for (long cut = 0; cut < size; cut++)
		assert_int_equal(client_hello_parse(&hello, bytes, (size_t)cut), R_AGAIN);
	assert_int_equal(client_hello_parse(&hello, bytes, (size_t)size), R_OK);
	assert_usual(&hello);
	assert_int_equal(hello.session_id.size, 32);
	client_hello_fini(&hello);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* In front of the extensions; one that is passed on is kept by its session id. */
static void malformed_fields_are_refused(void **state)
{
	static const struct {
		size_t session_id, ciphers, methods, extensions;
		enum result result;
	} cases[] = {
	    {0, 2, 1, 0, R_OK},
	    {0, 2, 1, 2, R_OK}, /* their length, which is 0 */
	    {0, 2, 1, 3, R_INVALID},
	    {32, 2, 1, 0, R_OK},
	    {33, 2, 1, 0, R_INVALID},
	    {0, 0, 1, 0, R_INVALID},
	    {0, 3, 1, 0, R_INVALID},
	    {0, 2, 0, 0, R_INVALID},
	};
	static const char zeros[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client_hello hello;
		struct buf message, wire;
		uint8_t *copy = NULL;
		size_t size = 2 + 32 + 1 + cases[i].session_id + 2 + cases[i].ciphers + 1 + cases[i].methods +
			      cases[i].extensions;

		buf_init(&message, 1000);
		buf_init(&wire, 1000);
		put_number(&message, 1, 1);
		put_number(&message, 3, size);
		put(&message, "\x03\x03", 2);
		put(&message, zeros, 32);
		put_number(&message, 1, cases[i].session_id);
		put(&message, zeros, cases[i].session_id);
		put_number(&message, 2, cases[i].ciphers);
		put(&message, zeros, cases[i].ciphers);
		put_number(&message, 1, cases[i].methods);
		put(&message, zeros, cases[i].methods);
		put(&message, zeros, cases[i].extensions);
		put_records(&wire, buf_bytes(&message), buf_size(&message), 1000);
		if (parse_exact(&hello, &copy, buf_bytes(&wire), buf_size(&wire)) != cases[i].result)
			fail_msg("case %zu is not %d", i, cases[i].result);
		client_hello_fini(&hello);
		free(copy);
		buf_fini(&message);
		buf_fini(&wire);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(name_protocols_and_versions_are_read),
	    cmocka_unit_test(every_truncation_asks_for_more),
	    cmocka_unit_test(bytes_behind_the_hello_are_left_alone),
	    cmocka_unit_test(hello_of_over_a_thousand_records_is_too_large),
	    cmocka_unit_test(hello_over_16_kib_is_too_large),
	    cmocka_unit_test(hello_without_extensions_has_no_name),
	    cmocka_unit_test(names_of_any_bytes_reach_the_name_check),
	    cmocka_unit_test(only_acme_counts_as_sole_protocol),
	    cmocka_unit_test(old_versions_get_protocol_version),
	    cmocka_unit_test(version_list_overrides_the_version_field),
	    cmocka_unit_test(malformed_fields_are_refused),
	    cmocka_unit_test(malformed_extensions_are_refused),
	    cmocka_unit_test(second_extension_of_a_kind_is_refused),
	    cmocka_unit_test(what_is_not_a_hello_is_refused_at_its_first_wrong_byte),
	    cmocka_unit_test(message_cut_anywhere_is_refused),
	    cmocka_unit_test(flipped_bytes_never_read_outside),
	    cmocka_unit_test(hello_of_openssl_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
