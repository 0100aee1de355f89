#include "verifier/diagnose/judge.h"

void judge(const struct judge_case *facts, struct verdicts *out)
{
	out->count = 0;
	judge_zone(facts, out);
	/* Of a domain that is not there nothing else is worth saying. */
	if (verdicts_have(out, VERDICT_ZONE_MISSING))
		return;
	judge_ownership(facts, out);
	judge_routing(facts, out);
	judge_certificate(facts, out);
}
