/*
 * May one of our CAs issue for the domain, as its CAA records have it?
 */
#include <string.h>

#include "verifier/diagnose/judge.h"

/* The challenges that need nothing from the customer but that the domain leads here, and those that need a
 * record more. */
enum { BY_DNS = 2 };
static const char *const methods[] = {"tls-alpn-01", "http-01", [BY_DNS] = "dns-01", "dns-persist-01"};

static enum caa judge_one(
    const struct judge_case *facts, const struct judge_ca *ca, size_t method_count, struct caa_verdict *caa)
{
	const char *identities[JUDGE_IDENTITIES_MAX];
	for (size_t i = 0; i < ca->identity_count; i++)
		identities[i] = ca->identities[i];
	const struct caa_asker asker = {.identities = identities,
	    .identity_count = ca->identity_count,
	    .account_url = ca->account_url,
	    .methods = methods,
	    .method_count = method_count};
	caa_judge(caa, &asker, facts->look->climb, facts->look->caa, facts->look->climb_count);
	return caa->caa;
}

static void show_found(const struct judge_case *facts, const char *place, struct verdict *verdict)
{
	for (size_t i = 0; i < facts->look->climb_count; i++) {
		const struct resolver_answer *answer = &facts->look->caa[i];
		if (facts->look->climb[i] != place)
			continue;
		for (size_t j = 0; j < answer->count; j++) {
			char text[VERDICT_FOUND];
			caa_text(&answer->values[j], text, sizeof text);
			verdict_found(verdict, text, strlen(text));
		}
	}
}

/* By caa_reason. */
static const struct {
	enum verdict_code code;
	const char *says;
} reasons[] = {
    [CAA_NO_REASON] = {VERDICT_CAA_FORBIDS, "forbid it"},
    [CAA_OTHER_CA] = {VERDICT_CAA_FORBIDS, "do not allow our certificate authority to issue"},
    [CAA_OTHER_ACCOUNT] = {VERDICT_CAA_OTHER_ACCOUNT,
	"allow our certificate authority to issue for another account only"},
    [CAA_OTHER_METHOD] = {VERDICT_CAA_OTHER_METHOD,
	"allow our certificate authority to issue only after validation by other methods than ours"},
    [CAA_CRITICAL] = {VERDICT_CAA_CRITICAL,
	"hold a critical property that certificate authorities do not know"},
};

static void judge_forbidden(
    const struct judge_case *facts, const struct caa_verdict *caa, bool is_by_dns, struct verdicts *out)
{
	struct verdict *verdict =
	    verdicts_add(out, is_by_dns ? VERDICT_CAA_BY_DNS_ONLY : reasons[caa->reason].code);
	verdict_say(verdict, "The CAA records of %s %s.", caa->place, reasons[caa->reason].says);
	if (is_by_dns)
		verdict_mend(verdict,
		    "Where the validation by DNS is set up, nothing needs to change. If it is not: ");
	if (caa->reason == CAA_CRITICAL)
		verdict_mend(verdict, "Remove the CAA record with the tag \"%s\".", caa->record);
	else
		verdict_mend(
		    verdict, "Add the CAA record below to %s; those that are there may stay.", caa->place);
	verdict_record(
	    verdict, caa->reason == CAA_CRITICAL ? "remove" : "add", "CAA", caa->place, caa->record);
	show_found(facts, caa->place, verdict);
}

static void judge_none_allowed(
    const struct judge_case *facts, const struct caa_verdict *caa, struct verdicts *out)
{
	struct caa_verdict wider;
	if (caa->caa != CAA_FORBIDDEN) {
		verdict_say(verdicts_add(out, VERDICT_CAA_COULD_NOT_CHECK),
		    "Whether CAA records allow the certificate could not be looked up; it will be tried "
		    "again.");
		return;
	}
	bool is_by_dns =
	    judge_one(facts, &facts->cas[0], sizeof methods / sizeof *methods, &wider) == CAA_ALLOWED;
	judge_forbidden(facts, caa, is_by_dns, out);
}

void judge_certificate(const struct judge_case *facts, struct verdicts *out)
{
	struct caa_verdict caa, foremost;
	if (!facts->look || !facts->ca_count)
		return;
	for (size_t i = 0; i < facts->ca_count; i++) {
		enum caa word = judge_one(facts, &facts->cas[i], BY_DNS, &caa);
		if (word == CAA_ALLOWED) {
			verdict_say(verdicts_add(out, VERDICT_CAA_OK), "%s",
			    caa.place ? "The CAA records allow our certificate authority to issue."
				      : "No CAA record restricts who may issue a certificate.");
			return;
		}
		if (i == 0)
			foremost = caa;
	}
	judge_none_allowed(facts, &foremost, out);
}
