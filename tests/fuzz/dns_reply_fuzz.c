/*
 * What a stranger's name server replies to a question of the diagnosis: whatever it is, it is read to some
 * end, and what comes out is bounded, and text. The first byte says which type was asked for; the id is made
 * right, so that more than noise gets through.
 */
#include "tests/fuzz/fuzz.h"
#include "verifier/diagnose/dns_question.h"

static void check_text(const char *text)
{
	fuzz_check(strlen(text) <= HOSTNAME_MAX);
	for (; *text; text++)
		fuzz_check(*text > ' ' && *text < 0x7f);
}

static void check_reply(const struct dns_reply *reply, enum resolver_type type, size_t size)
{
	check_text(reply->alias);
	check_text(reply->answer.canonical);
	check_text(reply->primary);
	check_text(reply->cut);
	fuzz_check(reply->answer.count <= size && reply->delegate_count <= DNS_REFERRAL_MAX);
	fuzz_check((reply->answer.outcome == RESOLVER_FOUND) == (reply->answer.count > 0));
	for (size_t i = 0; i < reply->answer.count; i++) {
		fuzz_check(type != RESOLVER_A || reply->answer.values[i].size == 4);
		fuzz_check(type != RESOLVER_AAAA || reply->answer.values[i].size == 16);
	}
	for (size_t i = 0; i < reply->delegate_count; i++)
		check_text(reply->delegates[i].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum resolver_type types[] = {
	    RESOLVER_A, RESOLVER_NS, RESOLVER_CNAME, RESOLVER_SOA, RESOLVER_TXT, RESOLVER_AAAA, RESOLVER_CAA};
	struct dns_question question = {.name = "shop.brand.test", .id = 0x1234};
	struct dns_reply reply;

	if (size < 3)
		return 0;
	question.type = types[data[0] % (sizeof types / sizeof *types)];
	uint8_t *bytes = (uint8_t *)fuzz_copy(data + 1, size - 1);
	bytes[0] = 0x12;
	bytes[1] = 0x34;
	enum result result = dns_question_read(&question, bytes, size - 1, &reply);
	fuzz_check(result == R_OK || result == R_NONE || result == R_INVALID);
	if (result == R_OK)
		check_reply(&reply, question.type, size);
	dns_reply_fini(&reply);
	free(bytes);
	return 0;
}
