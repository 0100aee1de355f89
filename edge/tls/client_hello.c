#include "edge/tls/client_hello.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum {
	RECORD_HEADER = 5,
	RECORD_MAX = 1 << 14, /* RFC 8446 section 5.1 */
	CONTENT_HANDSHAKE = 22,
	MESSAGE_HEADER = 4,
	CLIENT_HELLO_MESSAGE = 1,
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	SNI_HOST_NAME = 0,
	VERSION_TLS12 = 0x0303,
	VERSION_TLS13 = 0x0304,
};

/* What is left of a vector. Reading past its end yields false and leaves it as it was. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static bool read_bytes(struct reader *reader, size_t size, struct client_hello_slice *out)
{
	if (reader->left < size)
		return false;
	*out = (struct client_hello_slice){reader->at, size};
	reader->at += size;
	reader->left -= size;
	return true;
}

static bool read_number(struct reader *reader, size_t width, size_t *out)
{
	struct client_hello_slice bytes = {NULL, 0};

	if (!read_bytes(reader, width, &bytes))
		return false;
	*out = 0;
	for (size_t i = 0; i < width; i++)
		*out = *out << 8 | bytes.bytes[i];
	return true;
}

/* A vector behind a length of `width` bytes, at least `min` bytes long. */
static bool read_vector(struct reader *reader, size_t width, size_t min, struct client_hello_slice *out)
{
	size_t size = 0;

	return read_number(reader, width, &size) && size >= min && read_bytes(reader, size, out);
}

static struct reader reader_of(struct client_hello_slice slice)
{
	return (struct reader){slice.bytes, slice.size};
}

static enum result refuse(struct client_hello *out, enum client_hello_problem problem, enum tls_alert alert)
{
	out->problem = problem;
	out->alert = alert;
	return R_INVALID;
}

/* RFC 6066 section 3: a list that may hold one name of each type. Only host_name is defined and no client
 * sends another, so the list holds exactly one entry. */
static bool parse_sni(struct client_hello *out, struct client_hello_slice body)
{
	struct reader extension = reader_of(body);
	struct client_hello_slice list;
	size_t type = 0;

	if (!read_vector(&extension, 2, 1, &list) || extension.left > 0)
		return false;
	struct reader names = reader_of(list);
	if (!read_number(&names, 1, &type) || type != SNI_HOST_NAME)
		return false;
	out->sni_extension = body;
	return read_vector(&names, 2, 1, &out->server_name) && names.left == 0;
}

static bool parse_alpn(struct client_hello *out, struct client_hello_slice body)
{
	struct reader extension = reader_of(body);
	struct client_hello_slice list;
	struct client_hello_slice protocol;

	if (!read_vector(&extension, 2, 2, &list) || extension.left > 0)
		return false;
	struct reader protocols = reader_of(list);
	while (protocols.left > 0)
		if (!read_vector(&protocols, 1, 1, &protocol))
			return false;
	out->alpn_extension = body;
	return true;
}

static bool parse_versions(struct client_hello *out, struct client_hello_slice body)
{
	struct reader extension = reader_of(body);
	struct client_hello_slice list;
	size_t version = 0;

	if (!read_vector(&extension, 1, 2, &list) || extension.left > 0 || list.size % 2)
		return false;
	/* The list overrides the version field (RFC 8446 section 4.2.1). */
	out->offers_tls12 = false;
	struct reader versions = reader_of(list);
	while (read_number(&versions, 2, &version)) {
		out->offers_tls12 |= version == VERSION_TLS12;
		out->offers_tls13 |= version == VERSION_TLS13;
	}
	return true;
}

static bool parse_extension(struct client_hello *out, size_t type, struct client_hello_slice body)
{
	switch (type) {
	case EXTENSION_SERVER_NAME: return parse_sni(out, body);
	case EXTENSION_ALPN: return parse_alpn(out, body);
	case EXTENSION_SUPPORTED_VERSIONS: return parse_versions(out, body);
	default: return true;
	}
}

/* Of the extensions that are read, none may come twice (RFC 8446 section 4.2): two readers of the hello would
 * otherwise see two names. */
static bool parse_extensions(struct client_hello *out, struct reader *hello)
{
	struct client_hello_slice list;
	unsigned seen = 0;

	if (hello->left == 0)
		return true;
	if (!read_vector(hello, 2, 0, &list) || hello->left > 0)
		return false;
	struct reader extensions = reader_of(list);
	while (extensions.left > 0) {
		struct client_hello_slice body;
		size_t type = 0;

		if (!read_number(&extensions, 2, &type) || !read_vector(&extensions, 2, 0, &body))
			return false;
		unsigned bit = type == EXTENSION_SERVER_NAME          ? 1
			       : type == EXTENSION_ALPN               ? 2
			       : type == EXTENSION_SUPPORTED_VERSIONS ? 4
								      : 0;
		if (seen & bit || !parse_extension(out, type, body))
			return false;
		seen |= bit;
	}
	return true;
}

static bool parse_body(struct client_hello *out, struct reader hello)
{
	struct client_hello_slice ignored;
	size_t version = 0;

	if (!read_number(&hello, 2, &version) || !read_bytes(&hello, 32, &out->random))
		return false;
	if (!read_vector(&hello, 1, 0, &out->session_id) || out->session_id.size > 32)
		return false;
	if (!read_vector(&hello, 2, 2, &ignored) || ignored.size % 2)
		return false;
	if (!read_vector(&hello, 1, 1, &ignored))
		return false;
	out->offers_tls12 = version >= VERSION_TLS12;
	return parse_extensions(out, &hello);
}

/* The record that begins at `at`, as far as it is there. What can be seen to be wrong is refused at once: a
 * client that speaks something else may be waiting for us. */
static enum result check_record(
    struct client_hello *out, const uint8_t *bytes, size_t size, size_t at, size_t *length)
{
	enum client_hello_problem problem = at == 0 ? CLIENT_HELLO_NOT_TLS : CLIENT_HELLO_MALFORMED;

	if (size > at && bytes[at] != CONTENT_HANDSHAKE)
		return refuse(out, problem, at == 0 ? TLS_ALERT_DECODE_ERROR : TLS_ALERT_UNEXPECTED_MESSAGE);
	if (size > at + 1 && bytes[at + 1] != 3)
		return refuse(out, problem, TLS_ALERT_DECODE_ERROR);
	if (size < at + RECORD_HEADER)
		return R_AGAIN;
	*length = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
	if (*length == 0 || *length > RECORD_MAX)
		return refuse(out, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR);
	return R_OK;
}

/* *total: size of the message once its `have` bytes of header tell, else SIZE_MAX. */
static enum result check_message(struct client_hello *out, const uint8_t *header, size_t have, size_t *total)
{
	if (have > 0 && header[0] != CLIENT_HELLO_MESSAGE)
		return refuse(out, CLIENT_HELLO_MALFORMED, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (have < MESSAGE_HEADER)
		return R_OK;
	*total = MESSAGE_HEADER + ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]);
	if (*total > CLIENT_HELLO_MAX)
		return refuse(out, CLIENT_HELLO_TOO_LARGE, TLS_ALERT_DECODE_ERROR);
	return R_OK;
}

/* Walks the records until the message is whole; *records is how many it spans. The walk reads headers only,
 * so a peer that trickles its hello costs no more than these at each byte. */
static enum result find_message(
    struct client_hello *out, const uint8_t *bytes, size_t size, size_t *total, int *records)
{
	uint8_t header[MESSAGE_HEADER];
	size_t have = 0;
	size_t length = 0;

	*total = SIZE_MAX;
	*records = 0;
	for (size_t at = 0; have < *total; at += length) {
		if ((*records)++ == CLIENT_HELLO_RECORDS_MAX)
			return refuse(out, CLIENT_HELLO_TOO_LARGE, TLS_ALERT_DECODE_ERROR);
		enum result result = check_record(out, bytes, size, at, &length);
		if (result != R_OK)
			return result;
		at += RECORD_HEADER;
		size_t here = size - at < length ? size - at : length;
		for (size_t i = 0; i < here && have + i < MESSAGE_HEADER; i++)
			header[have + i] = bytes[at + i];
		have += here;
		result = check_message(out, header, have, total);
		if (result != R_OK)
			return result;
		if (here < length && have < *total)
			return R_AGAIN;
	}
	return R_OK;
}

static uint8_t *assemble(const uint8_t *bytes, size_t total)
{
	uint8_t *message = mem_alloc(total);

	for (size_t at = 0, have = 0; have < total;) {
		size_t length = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
		size_t take = total - have < length ? total - have : length;

		memcpy(message + have, bytes + at + RECORD_HEADER, take);
		have += take;
		at += RECORD_HEADER + length;
	}
	return message;
}

enum result client_hello_parse(struct client_hello *out, const void *bytes, size_t size)
{
	size_t total = 0;
	int records = 0;

	*out = (struct client_hello){.alert = TLS_ALERT_NONE};
	enum result result = find_message(out, bytes, size, &total, &records);
	if (result != R_OK)
		return result;
	if (records > 1)
		out->assembled = assemble(bytes, total);
	const uint8_t *message = out->assembled ? out->assembled : (const uint8_t *)bytes + RECORD_HEADER;
	if (!parse_body(out, (struct reader){message + MESSAGE_HEADER, total - MESSAGE_HEADER}))
		return refuse(out, CLIENT_HELLO_MALFORMED, TLS_ALERT_DECODE_ERROR);
	if (!out->offers_tls12 && !out->offers_tls13)
		return refuse(out, CLIENT_HELLO_OLD_VERSION, TLS_ALERT_PROTOCOL_VERSION);
	return R_OK;
}

void client_hello_fini(struct client_hello *hello)
{
	free(hello->assembled);
	*hello = (struct client_hello){.alert = TLS_ALERT_NONE};
}

/* How many protocols are offered, and whether `wanted` is one of them. The list was checked by parse_alpn. */
static size_t count_protocols(const struct client_hello *hello, const char *wanted, bool *found)
{
	struct reader extension = reader_of(hello->alpn_extension);
	struct client_hello_slice list = {NULL, 0};
	struct client_hello_slice protocol;
	size_t count = 0;

	*found = false;
	read_vector(&extension, 2, 0, &list);
	struct reader protocols = reader_of(list);
	for (; read_vector(&protocols, 1, 1, &protocol); count++)
		if (protocol.size == strlen(wanted) && memcmp(protocol.bytes, wanted, protocol.size) == 0)
			*found = true;
	return count;
}

bool client_hello_offers_only(const struct client_hello *hello, const char *protocol)
{
	bool found = false;

	return count_protocols(hello, protocol, &found) == 1 && found;
}

const char *client_hello_problem_name(enum client_hello_problem problem)
{
	static const char *const names[] = {
	    [CLIENT_HELLO_FINE] = "none",
	    [CLIENT_HELLO_NOT_TLS] = "not_tls",
	    [CLIENT_HELLO_MALFORMED] = "malformed",
	    [CLIENT_HELLO_TOO_LARGE] = "too_large",
	    [CLIENT_HELLO_OLD_VERSION] = "protocol_version",
	};

	return names[problem];
}
