#include "verifier/diagnose/diagnoser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "verifier/diagnose/ca_names.h"
#include "verifier/diagnose/diagnosis_json.h"

struct diagnoser {
	const struct config *config;
	struct resolver *resolver;
	struct ca_names *cas;
};

struct diagnoser *diagnoser_new(const struct config *config, struct resolver *resolver)
{
	struct diagnoser *diagnoser = mem_alloc(sizeof *diagnoser);
	diagnoser->config = config;
	diagnoser->resolver = resolver;
	diagnoser->cas = ca_names_new();
	return diagnoser;
}

void diagnoser_free(struct diagnoser *diagnoser)
{
	if (!diagnoser)
		return;
	ca_names_free(diagnoser->cas);
	free(diagnoser);
}

void diagnoser_learn(struct diagnoser *diagnoser, struct pg *pg)
{
	ca_names_refresh(diagnoser->cas, pg);
}

static bool is_troubled(const struct verdicts *verdicts)
{
	for (size_t i = 0; i < verdicts->count; i++)
		if (verdict_kinds[verdicts->list[i].code].state != VERDICT_OK)
			return true;
	return false;
}

/* What the judges need of a claim, its check and a look. */
struct diagnosis_case {
	struct judge_case facts;
	struct domain_sight sight;
	struct record records[RECORDS_MAX];
	struct judge_ca cas[JUDGE_CAS_MAX];
	struct verdicts verdicts;
};

static void fill_case(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, const struct domain_verdict *verdict, struct diagnosis_case *out)
{
	const struct config *config = diagnoser->config;
	const char *label = records_label(config, claim->txt_label);
	out->sight = domain_check_sight(check);
	out->facts = (struct judge_case){.name = claim->name,
	    .label = label,
	    .saas_root = config->place.saas_root.text,
	    .records = out->records,
	    .record_count = records_of(config, label, claim->name, claim->tenant, claim->token, out->records),
	    .txt = out->sight.txt,
	    .routing = &out->sight.routing,
	    .is_owned_by_another = claim->rival.id && verdict->rival == TXT_VERIFIED,
	    .cas = out->cas,
	    .ca_count = ca_names_take(diagnoser->cas, out->cas)};
}

void diagnoser_judge(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, struct domain_verdict *verdict)
{
	struct domain_memory *memory = &verdict->diagnosis.memory;
	struct diagnosis_case *diagnosis = mem_alloc(sizeof *diagnosis);
	fill_case(diagnoser, claim, check, verdict, diagnosis);
	judge(&diagnosis->facts, &diagnosis->verdicts);
	json_t *json = diagnosis_json(&diagnosis->facts, &diagnosis->verdicts);
	verdict->diagnosis.json = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	memcpy(memory->basis, verdict->basis, sizeof memory->basis);
	memory->is_full = diagnosis->facts.look != NULL;
	memory->is_troubled = is_troubled(&diagnosis->verdicts);
	free(diagnosis);
}
