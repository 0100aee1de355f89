/*
 * The header of a CA's answer, line by line: what is kept of it is safe to send back, to request and to wait
 * for, whatever else stood there, in whichever order.
 */
#include "acme/ca/acme_header.h"
#include "tests/fuzz/fuzz.h"

static const char base[] = "https://ca.test/acme/cert/1";

static bool ends(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

static void check(const struct acme_response *response)
{
	fuzz_check(ends(response->nonce, sizeof response->nonce));
	fuzz_check(response->nonce[0] == '\0' || base64url_is_token(response->nonce));
	fuzz_check(ends(response->location, sizeof response->location));
	fuzz_check(response->location[0] == '\0' || acme_url_is_safe(response->location));
	fuzz_check(response->retry_after >= -1 && response->retry_after <= 366 * 24 * 3600);
	fuzz_check(response->alternate_count <= ACME_ALTERNATES_MAX);
	for (size_t i = 0; i < response->alternate_count; i++) {
		fuzz_check(ends(response->alternates[i], ACME_URL_SIZE));
		fuzz_check(acme_url_is_safe(response->alternates[i]));
		for (size_t j = 0; j < i; j++)
			fuzz_check(strcmp(response->alternates[i], response->alternates[j]) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { NOW = 1900000000 };
	struct acme_response response;

	acme_response_init(&response);
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t length = end ? (size_t)(end + 1 - (data + at)) : size - at;
		char *line = fuzz_copy(data + at, length);
		acme_header_read(&response, base, line, length, NOW);
		check(&response);
		free(line);
		at += length;
	}
	acme_response_fini(&response);
	return 0;
}
