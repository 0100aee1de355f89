/*
 * Records that a customer publishes, on the way to a decision about an order: TXT of dns-persist-01, CAA, the
 * alias of _acme-challenge. Input: a byte that says which; then records, each led by two bytes of length.
 */
#include "acme/proof/persist_record.h"
#include "common/dns/caa.h"
#include "common/dns/rdata.h"
#include "tests/fuzz/fuzz.h"

#define ACCOUNT "https://ca.test/acct/1"

enum { RECORDS_MAX = 16, NOW = 2000000000, CLIMBED = 3 };

struct records {
	struct resolver_value values[RECORDS_MAX];
	size_t count;
};

static void read_records(struct records *out, const uint8_t *data, size_t size)
{
	out->count = 0;
	for (size_t at = 0; at + 2 <= size && out->count < RECORDS_MAX;) {
		size_t length = (size_t)data[at] << 8 | data[at + 1];
		at += 2;
		if (length > size - at)
			length = size - at;
		out->values[out->count++] =
		    (struct resolver_value){(unsigned char *)fuzz_copy(data + at, length), length};
		at += length;
	}
}

static void free_records(struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		free(records->values[i].bytes);
}

static struct resolver_answer answer_of(struct records *records)
{
	return (struct resolver_answer){.outcome = records->count > 0 ? RESOLVER_FOUND : RESOLVER_NO_DATA,
	    .values = records->values,
	    .count = records->count};
}

static void check_persist(struct records *records)
{
	static const struct acme_issuer_names issuers = {.count = 2, .list = {"ca.test", "other-ca.test"}};

	for (size_t i = 0; i < records->count; i++) {
		struct resolver_value text =
		    rdata_read_text(records->values[i].bytes, records->values[i].size);
		fuzz_check(text.size <= records->values[i].size);
		free(records->values[i].bytes);
		records->values[i] = text;
	}
	struct resolver_answer answer = answer_of(records);
	struct persist_record found = persist_record_judge(&answer, &issuers, ACCOUNT, false, NOW);
	struct persist_record wild = persist_record_judge(&answer, &issuers, ACCOUNT, true, NOW);
	struct persist_record anyone = persist_record_judge(&answer, NULL, ACCOUNT, false, NOW);
	fuzz_check(
	    found.standing <= PERSIST_UNKNOWN && (found.standing == PERSIST_ABSENT) == (answer.count == 0));
	fuzz_check(found.standing != PERSIST_GOOD || found.until == 0 || found.until > NOW);
	/* What is good for more is good for less; and ours are among anybody's. */
	fuzz_check(wild.standing != PERSIST_GOOD || found.standing == PERSIST_GOOD);
	fuzz_check(found.standing != PERSIST_GOOD || anyone.standing == PERSIST_GOOD);
}

static void check_caa(struct records *records, bool is_wildcard)
{
	static const char *const identity = "ca.test", *const methods[] = {"tls-alpn-01", "http-01"};
	static const char *const climb[CLIMBED] = {"www.brand.test", "brand.test", "test"};
	const struct caa_asker asker = {.identities = &identity,
	    .identity_count = 1,
	    .account_url = ACCOUNT,
	    .methods = methods,
	    .method_count = 2,
	    .is_wildcard = is_wildcard};
	struct resolver_answer answers[CLIMBED] = {
	    {.outcome = RESOLVER_NO_DATA}, answer_of(records), {.outcome = RESOLVER_NO_NAME}};
	struct caa_verdict verdict;

	caa_judge(&verdict, &asker, climb, answers, CLIMBED);
	fuzz_check(verdict.caa == CAA_ALLOWED || verdict.caa == CAA_FORBIDDEN);
	fuzz_check(memchr(verdict.note, '\0', sizeof verdict.note));
	for (const char *at = verdict.note; *at; at++)
		fuzz_check((unsigned char)*at >= 0x20 && *at != 0x7f);
	fuzz_check((verdict.caa == CAA_FORBIDDEN) == (verdict.record[0] != '\0'));
	fuzz_check(!verdict.place || verdict.place == climb[1]);
	fuzz_check((verdict.caa == CAA_FORBIDDEN) == (verdict.note[0] != '\0') || verdict.caa == CAA_ALLOWED);
	fuzz_check(answers[1].count > 0 || verdict.caa == CAA_ALLOWED);
}

static void check_names(const struct records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		struct resolver_value name =
		    rdata_read_name(records->values[i].bytes, records->values[i].size);
		fuzz_check(name.size <= records->values[i].size);
		for (size_t j = 0; j < name.size; j++)
			fuzz_check(name.bytes[j] < 'A' || name.bytes[j] > 'Z');
		free(name.bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records records;

	if (size < 1)
		return 0;
	read_records(&records, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0: check_persist(&records); break;
	case 1: check_caa(&records, false); break;
	case 2: check_caa(&records, true); break;
	case 3: check_names(&records); break;
	}
	free_records(&records);
	return 0;
}
