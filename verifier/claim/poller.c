#include "verifier/claim/poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "verifier/claim/domain_check.h"
#include "verifier/diagnose/diagnoser.h"
#include "verifier/diagnose/dns_look.h"

/* At most SLOTS domains are looked up at once. One that finds no room for a thorough look keeps its slot for
 * PATIENCE_MS, as long as half of them are free; the domain's lease lasts for check, patience and look. */
enum { SLOTS = 64, LOOK_MS = 1000, TICK_MS = 100, RECONNECT_MS = 500, PATIENCE_MS = 3000 };

/* A domain that is being looked at: first by the ordinary check, then, where that is due, thoroughly. */
struct slot {
	struct domain_check *check; /* NULL: the slot is free */
	bool is_finished;           /* the check is; `verdict` is set */
	struct domain_verdict verdict;
	int64_t patience_ms;  /* room for a thorough look is waited for until then; 0: it is not, or not any
				 more */
	struct look_job *job; /* NULL: no thorough look is under way */
};

struct poller {
	const struct config *config;
	struct resolver *resolver;
	struct diagnoser *diagnoser;
	struct pg *pg;
	pthread_t thread;
	atomic_bool stopping;
	struct slot slots[SLOTS];
	int busy;
	bool complained;    /* about the database, since it last answered */
	int64_t look_at_ms; /* when to ask the database for due domains again */
};

static const struct scope own = {.actor = "poller"};

static void tell(
    const struct domain_claim *claim, const struct domain_verdict *verdict, enum domain_settled settled)
{
	static const char *const words[] = {[DOMAIN_VERIFIED] = "domain verified",
	    [DOMAIN_RECOVERED] = "domain is as it should be again",
	    [DOMAIN_RESUMED] = "domain was proven again, no longer suspended",
	    [DOMAIN_IS_OWNED] = "domain proven but owned by another tenant",
	    [DOMAIN_IS_STALE] = "domain proven by a record older than its last owner"};
	if (settled == DOMAIN_DRIFTED || settled == DOMAIN_SUSPENDED)
		log_warn(settled == DOMAIN_DRIFTED ? "domain drifted" : "domain suspended",
		    log_str("domain", claim->name), log_str("tenant", claim->tenant),
		    log_str("found", verdict->detail));
	else if (settled < sizeof words / sizeof *words && words[settled])
		log_info(words[settled], log_str("domain", claim->name), log_str("tenant", claim->tenant));
}

static void settle(struct poller *poller, struct slot *slot)
{
	const struct domain_claim *claim = domain_check_claim(slot->check);
	struct dns_look *look = slot->job ? look_job_take(slot->job) : NULL;
	struct error error = {""};
	diagnoser_judge(poller->diagnoser, claim, slot->check, look, &slot->verdict);
	enum domain_settled settled = DOMAIN_IS_LOST;
	enum result result =
	    domain_settle(poller->pg, &own, claim, &slot->verdict, &poller->config->rules, &settled, &error);
	if (result == R_OK)
		tell(claim, &slot->verdict, settled);
	else
		log_warn("check not stored, will be repeated", log_str("domain", claim->name),
		    log_str("error", error.text));
	dns_look_free(look);
	domain_verdict_fini(&slot->verdict);
	domain_check_free(slot->check);
	*slot = (struct slot){.check = NULL};
	poller->busy--;
}

/* Until then the domain would be shown without what its servers say. */
static void start_look(struct poller *poller, struct slot *slot)
{
	enum result result = diagnoser_start_look(
	    poller->diagnoser, domain_check_claim(slot->check), &slot->verdict, &slot->job);
	if (result == R_AGAIN && poller->busy <= SLOTS / 2 && clock_monotonic_ms() < slot->patience_ms)
		return;
	slot->patience_ms = 0;
	if (result == R_AGAIN)
		diagnoser_leave_out(poller->diagnoser);
}

static void go_on(struct poller *poller, struct slot *slot)
{
	if (!slot->is_finished && domain_check_is_done(slot->check)) {
		domain_check_finish(slot->check, "poller", &slot->verdict);
		slot->is_finished = true;
		slot->patience_ms = clock_monotonic_ms() + PATIENCE_MS;
	}
	if (slot->patience_ms != 0)
		start_look(poller, slot);
	if (slot->is_finished && slot->patience_ms == 0 && (!slot->job || look_job_is_done(slot->job)))
		settle(poller, slot);
}

static void start_checks(struct poller *poller, const struct domain_claim *claims, int count)
{
	int at = 0;
	for (int i = 0; i < count; i++) {
		while (poller->slots[at].check)
			at++;
		poller->slots[at].check = domain_check_start(poller->resolver, poller->config, &claims[i]);
		poller->busy++;
	}
}

/* Undecided. */
static void drop(struct slot *slot)
{
	if (slot->job)
		dns_look_free(look_job_take(slot->job));
	domain_verdict_fini(&slot->verdict);
	domain_check_free(slot->check);
}

static void claim_due(struct poller *poller)
{
	struct domain_claim claims[SLOTS];
	int count = 0, room = SLOTS - poller->busy;
	struct error error = {""};
	enum result result = pg_wait_ready(poller->pg, RECONNECT_MS, &error);
	if (result == R_OK)
		result = domain_claim_due(poller->pg, room, claims, &count, &error);
	diagnoser_learn(poller->diagnoser, poller->pg);
	if (result != R_OK && !poller->complained)
		log_warn("cannot look for domains to check", log_str("error", error.text));
	poller->complained = result != R_OK;
	start_checks(poller, claims, count);
	/* A full house means that more may be due. */
	poller->look_at_ms = clock_monotonic_ms() + (count == room ? 0 : LOOK_MS);
}

static int wait_ms(const struct poller *poller)
{
	int64_t left = poller->look_at_ms - clock_monotonic_ms();
	int most = poller->busy ? TICK_MS : LOOK_MS;
	return left < 0 || poller->busy == SLOTS ? TICK_MS : left < most ? (int)left : most;
}

static void *poller_run(void *arg)
{
	struct poller *poller = arg;
	uint64_t seen = 0;
	while (!poller->stopping) {
		for (int i = 0; i < SLOTS; i++)
			if (poller->slots[i].check)
				go_on(poller, &poller->slots[i]);
		if (poller->busy < SLOTS && clock_monotonic_ms() >= poller->look_at_ms)
			claim_due(poller);
		seen = resolver_wait(poller->resolver, seen, wait_ms(poller));
	}
	for (int i = 0; i < SLOTS; i++)
		if (poller->slots[i].check)
			drop(&poller->slots[i]);
	return NULL;
}

enum result poller_start(struct poller **out, const struct config *config, struct resolver *resolver,
    struct diagnoser *diagnoser, struct error *error)
{
	struct poller *poller = mem_alloc(sizeof *poller);
	poller->config = config;
	poller->resolver = resolver;
	poller->diagnoser = diagnoser;
	poller->pg = pg_new(settings_string(config->settings, "database"), "postern-verifier poller");
	if (pthread_create(&poller->thread, NULL, poller_run, poller) != 0) {
		error_set(error, "cannot start the poller's thread");
		pg_free(poller->pg);
		free(poller);
		return R_ERROR;
	}
	*out = poller;
	return R_OK;
}

void poller_stop(struct poller *poller)
{
	if (!poller)
		return;
	poller->stopping = true;
	resolver_wake(poller->resolver);
	pthread_join(poller->thread, NULL);
	pg_free(poller->pg);
	free(poller);
}
