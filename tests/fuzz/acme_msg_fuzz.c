/*
 * The CA's documents and its Retry-After: what is accepted is safe to store, log and request, whatever else
 * stood beside it. The first byte says which document it is.
 */
#include "acme/ca/acme_msg.h"
#include "tests/fuzz/fuzz.h"

static struct acme_order order;
static struct acme_authorization authorization;
static struct error error;

static bool ends(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

static void check_problem(const struct acme_problem *problem)
{
	fuzz_check(
	    ends(problem->type, sizeof problem->type) && ends(problem->detail, sizeof problem->detail));
	for (const char *at = problem->detail; *at; at++)
		fuzz_check((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_url(const char *url, bool may_be_absent)
{
	fuzz_check(ends(url, ACME_URL_SIZE));
	fuzz_check((may_be_absent && url[0] == '\0') || acme_url_is_safe(url));
}

static void check_order(const char *json, size_t size)
{
	if (acme_parse_order(&order, json, size, &error) != R_OK) {
		fuzz_check(error.text[0] != '\0');
		return;
	}
	fuzz_check(order.authorization_count <= ACME_AUTHORIZATIONS_MAX);
	for (size_t i = 0; i < order.authorization_count; i++)
		check_url(order.authorizations[i], false);
	check_url(order.finalize, true);
	check_url(order.certificate, true);
	check_problem(&order.problem);
}

static void check_challenge(const struct acme_challenge *challenge)
{
	fuzz_check(challenge->type < ACME_CHALLENGE_TYPES && acme_challenge_name(challenge->type));
	fuzz_check(ends(challenge->token, sizeof challenge->token));
	for (const char *at = challenge->token; *at; at++)
		fuzz_check((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			   (*at >= '0' && *at <= '9') || *at == '-' || *at == '_');
	check_url(challenge->url, false);
	check_problem(&challenge->problem);
}

static void check_authorization(const char *json, size_t size)
{
	if (acme_parse_authorization(&authorization, json, size, &error) != R_OK) {
		fuzz_check(error.text[0] != '\0');
		return;
	}
	fuzz_check(ends(authorization.name, sizeof authorization.name));
	fuzz_check(authorization.challenge_count <= ACME_CHALLENGES_MAX);
	for (size_t i = 0; i < authorization.challenge_count; i++)
		check_challenge(&authorization.challenges[i]);
}

static void check_retry_after(const char *value, size_t size)
{
	char *text = fuzz_copy(value, size + 1);
	enum { NOW = 1900000000 };

	text[size] = '\0';
	int64_t seconds = acme_parse_retry_after(text, NOW);
	fuzz_check(seconds >= -1 && seconds <= 366 * 24 * 3600);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acme_problem problem;

	if (size < 2)
		return 0;
	char *json = fuzz_copy(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0: check_order(json, size - 1); break;
	case 1: check_authorization(json, size - 1); break;
	case 2:
		acme_parse_problem(&problem, json, size - 1, NULL);
		check_problem(&problem);
		break;
	case 3: check_retry_after(json, size - 2); break;
	}
	free(json);
	return 0;
}
