/*
 * Whatever bytes a stranger opens with: the answer does not depend on how they were cut, bytes behind the
 * hello change nothing, and a name that is read lies within the bytes that came.
 */
#include "edge/tls/client_hello.h"
#include "tests/fuzz/fuzz.h"

enum { TAIL = 7, CUTS_MAX = 600 };

static bool same_slice(struct client_hello_slice one, struct client_hello_slice other)
{
	return one.size == other.size && (!one.bytes) == (!other.bytes) &&
	       (one.size == 0 || memcmp(one.bytes, other.bytes, one.size) == 0);
}

static bool same_hello(const struct client_hello *one, const struct client_hello *other)
{
	return same_slice(one->random, other->random) && same_slice(one->session_id, other->session_id) &&
	       same_slice(one->server_name, other->server_name) &&
	       same_slice(one->sni_extension, other->sni_extension) &&
	       same_slice(one->alpn_extension, other->alpn_extension) &&
	       one->offers_tls12 == other->offers_tls12 && one->offers_tls13 == other->offers_tls13;
}

static enum result parse_copy(struct client_hello *hello, const uint8_t *data, size_t size, char **copy)
{
	*copy = fuzz_copy(data, size);
	return client_hello_parse(hello, *copy, size);
}

static void check_answer(const struct client_hello *hello, enum result result, size_t size)
{
	bool asks_challenge = false;

	fuzz_check(result == R_OK || result == R_AGAIN || result == R_INVALID);
	fuzz_check((result == R_INVALID) == (hello->problem != CLIENT_HELLO_FINE));
	fuzz_check((result == R_INVALID) == (hello->alert != TLS_ALERT_NONE));
	fuzz_check(client_hello_problem_name(hello->problem));
	fuzz_check(result != R_AGAIN || size < CLIENT_HELLO_WIRE_MAX);
	if (result != R_OK)
		return;
	fuzz_check(!hello->server_name.bytes || hello->server_name.size > 0);
	fuzz_check(hello->server_name.size < hello->sni_extension.size || !hello->server_name.bytes);
	fuzz_check(hello->offers_tls12 || hello->offers_tls13);
	asks_challenge = client_hello_offers_only(hello, "acme-tls/1");
	fuzz_check(!asks_challenge || !client_hello_offers_only(hello, "http/1.1"));
}

/* As if the first `cut` bytes had come alone: unfinished, or the same answer already. */
static void check_cut(const uint8_t *data, size_t cut, enum result whole)
{
	struct client_hello hello;
	char *copy = NULL;
	enum result result = parse_copy(&hello, data, cut, &copy);

	check_answer(&hello, result, cut);
	fuzz_check(result == R_AGAIN || result == whole);
	if (result != R_AGAIN)
		client_hello_fini(&hello);
	free(copy);
}

static void check_tail(const uint8_t *data, size_t size, const struct client_hello *expected)
{
	struct client_hello hello;
	char *longer = malloc(size + TAIL);

	memcpy(longer, data, size);
	memset(longer + size, 0x16, TAIL);
	fuzz_check(client_hello_parse(&hello, longer, size + TAIL) == R_OK);
	fuzz_check(same_hello(&hello, expected));
	client_hello_fini(&hello);
	free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello hello;
	char *copy = NULL;
	enum result result = parse_copy(&hello, data, size, &copy);

	check_answer(&hello, result, size);
	for (size_t cut = 0; cut < size; cut += 1 + size / CUTS_MAX)
		check_cut(data, cut, result);
	if (result == R_OK)
		check_tail(data, size, &hello);
	if (result != R_AGAIN)
		client_hello_fini(&hello);
	free(copy);
	return 0;
}
