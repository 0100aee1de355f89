#include "verifier/diagnose/diagnoser.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "verifier/diagnose/ca_names.h"
#include "verifier/diagnose/diagnosis_json.h"
#include "verifier/diagnose/dns_look_run.h"
#include "verifier/diagnose/look_due.h"
#include "verifier/diagnose/look_room.h"

struct diagnoser {
	const struct config *config;
	struct resolver *resolver;
	struct ca_names *cas;
	struct look_access access;
	struct metric *made, *left_out;
	struct histogram *duration;
	pthread_mutex_t lock; /* of what follows */
	struct look_room room;
};

struct look_job {
	struct diagnoser *diagnoser;
	struct domain_claim claim;
	int place; /* in the room */
	pthread_t thread;
	atomic_bool done;
	struct dns_look *look;
};

struct diagnoser *diagnoser_new(const struct config *config, struct resolver *resolver)
{
	static const char name[] = "postern_verifier_thorough_looks_total";
	struct diagnoser *diagnoser = mem_alloc(sizeof *diagnoser);
	diagnoser->config = config;
	diagnoser->resolver = resolver;
	diagnoser->cas = ca_names_new();
	look_access_load(&diagnoser->access, config->settings);
	pthread_mutex_init(&diagnoser->lock, NULL);
	diagnoser->made = metrics_counter(name, "result=\"made\"",
	    "Looks at each name server of a domain; those for which there was no room.");
	diagnoser->left_out = metrics_counter(name, "result=\"left_out\"", NULL);
	diagnoser->duration = metrics_histogram(
	    "postern_verifier_thorough_look_seconds", NULL, "How long a look at each name server took.");
	return diagnoser;
}

void diagnoser_free(struct diagnoser *diagnoser)
{
	if (!diagnoser)
		return;
	ca_names_free(diagnoser->cas);
	pthread_mutex_destroy(&diagnoser->lock);
	free(diagnoser);
}

void diagnoser_learn(struct diagnoser *diagnoser, struct pg *pg)
{
	ca_names_refresh(diagnoser->cas, pg);
}

/* ---- room ---- */

static int enter(struct diagnoser *diagnoser, const struct domain_claim *claim, bool is_poller)
{
	pthread_mutex_lock(&diagnoser->lock);
	int place = look_room_enter(&diagnoser->room, claim->tenant, is_poller, clock_monotonic_ms());
	pthread_mutex_unlock(&diagnoser->lock);
	return place;
}

void diagnoser_leave_out(struct diagnoser *diagnoser)
{
	metric_add(diagnoser->left_out, 1);
}

static void leave(struct diagnoser *diagnoser, int place)
{
	pthread_mutex_lock(&diagnoser->lock);
	look_room_leave(&diagnoser->room, place);
	pthread_mutex_unlock(&diagnoser->lock);
}

/* ---- looks ---- */

static struct dns_look *run(struct diagnoser *diagnoser, const struct domain_claim *claim)
{
	const struct config *config = diagnoser->config;
	int64_t start_us = clock_monotonic_us();
	struct record txt;
	char target[HOSTNAME_MAX + 1];
	const char *label = records_label(config, claim->txt_label);
	records_txt(config, label, claim->name, claim->token, &txt);
	our_place_target(&config->place, claim->tenant, target);
	struct dns_look *look = dns_look_run(&(struct look_request){.resolver = diagnoser->resolver,
	    .access = &diagnoser->access,
	    .name = claim->name,
	    .txt_name = txt.name,
	    .label = label,
	    .target = target});
	metric_add(diagnoser->made, 1);
	histogram_observe_us(diagnoser->duration, clock_monotonic_us() - start_us);
	return look;
}

struct dns_look *diagnoser_look(struct diagnoser *diagnoser, const struct domain_claim *claim)
{
	int place = enter(diagnoser, claim, false);
	if (place < 0) {
		diagnoser_leave_out(diagnoser);
		return NULL;
	}
	struct dns_look *look = run(diagnoser, claim);
	leave(diagnoser, place);
	return look;
}

static void *job_run(void *arg)
{
	struct look_job *job = arg;
	job->look = run(job->diagnoser, &job->claim);
	leave(job->diagnoser, job->place);
	atomic_store(&job->done, true);
	resolver_wake(job->diagnoser->resolver);
	return NULL;
}

enum result diagnoser_start_look(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_verdict *verdict, struct look_job **out)
{
	if (!look_is_due(&claim->memory, verdict, DIAGNOSER_AGAIN_S))
		return R_NONE;
	int place = enter(diagnoser, claim, true);
	if (place < 0)
		return R_AGAIN;
	struct look_job *job = mem_alloc(sizeof *job);
	job->diagnoser = diagnoser;
	job->claim = *claim;
	job->place = place;
	if (pthread_create(&job->thread, NULL, job_run, job) == 0) {
		*out = job;
		return R_OK;
	}
	leave(diagnoser, place);
	free(job);
	return R_AGAIN;
}

bool look_job_is_done(const struct look_job *job)
{
	return atomic_load(&job->done);
}

struct dns_look *look_job_take(struct look_job *job)
{
	pthread_join(job->thread, NULL);
	struct dns_look *look = job->look;
	free(job);
	return look;
}

/* ---- verdicts ---- */

static bool is_troubled(const struct verdicts *verdicts)
{
	for (size_t i = 0; i < verdicts->count; i++)
		if (verdict_kinds[verdicts->list[i].code].state != VERDICT_OK)
			return true;
	return false;
}

/* What the judges need of a claim, its check and a look. */
struct diagnosis {
	struct judge_case facts;
	struct domain_sight sight;
	struct record records[RECORDS_MAX];
	struct judge_ca cas[JUDGE_CAS_MAX];
	struct verdicts verdicts;
};

static void fill(struct diagnosis *out, struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, const struct dns_look *look)
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
	    .look = look,
	    .cas = out->cas,
	    .ca_count = ca_names_take(diagnoser->cas, out->cas)};
}

void diagnoser_judge(struct diagnoser *diagnoser, const struct domain_claim *claim,
    const struct domain_check *check, const struct dns_look *look, struct domain_verdict *verdict)
{
	struct domain_memory *memory = &verdict->diagnosis.memory;
	if (!look && strcmp(claim->memory.basis, verdict->basis) == 0)
		return;
	struct diagnosis *diagnosis = mem_alloc(sizeof *diagnosis);
	fill(diagnosis, diagnoser, claim, check, look);
	diagnosis->facts.is_owned_by_another = claim->rival.id && verdict->rival == TXT_VERIFIED;
	judge(&diagnosis->facts, &diagnosis->verdicts);
	json_t *json = diagnosis_json(&diagnosis->facts, &diagnosis->verdicts);
	verdict->diagnosis.json = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	memcpy(memory->basis, verdict->basis, sizeof memory->basis);
	memory->is_full = look != NULL;
	memory->is_troubled = is_troubled(&diagnosis->verdicts);
	free(diagnosis);
}
