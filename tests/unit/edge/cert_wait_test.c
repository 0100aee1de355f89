#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/site/cert_wait.h"
#include "tests/support/edge_loop.h"

enum { ISSUE_MS = 30 * 1000 };

/* The broker, as these tests have it: it notes what it is told and never answers by itself. */
static struct {
	int found, forgotten;
	char last[HOSTNAME_MAX + 1];
} asked;

void broker_find(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	(void)broker;
	(void)mailbox;
	(void)only_looks;
	asked.found++;
	snprintf(asked.last, sizeof asked.last, "%s", name);
}

void broker_forget(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	(void)broker;
	(void)mailbox;
	(void)only_looks;
	asked.forgotten++;
	snprintf(asked.last, sizeof asked.last, "%s", name);
}

struct world {
	struct loop *loop;
	struct mailbox *mailbox;
	struct site_cache *sites;
	struct cert_wait *wait;
};

struct visitor {
	struct cert_waiter waiter;
	struct world *world;
	int calls;
	enum cert_outcome outcome;
	struct site *site;
	const char *cause;
	struct visitor *takes_along; /* leaves in the callback */
	struct visitor *joins;       /* joins in the callback */
};

static struct hostname name_of(const char *text)
{
	struct hostname name;

	snprintf(name.text, sizeof name.text, "%s", text);
	return name;
}

static const char shop[] = "shop.example";

static void on_done(
    struct cert_waiter *waiter, enum cert_outcome outcome, struct site *site, const char *cause)
{
	struct visitor *visitor = loop_owner(waiter, struct visitor, waiter);
	struct hostname name = name_of(shop);

	visitor->calls++;
	visitor->outcome = outcome;
	visitor->site = site;
	visitor->cause = cause;
	if (visitor->takes_along)
		cert_wait_leave(visitor->world->wait, &visitor->takes_along->waiter);
	if (visitor->joins)
		cert_wait_join(visitor->world->wait, &visitor->joins->waiter, &name, false);
}

static struct visitor visitor_new(struct world *world)
{
	return (struct visitor){.world = world, .waiter.on_done = on_done};
}

static void join(struct visitor *visitor, const char *text)
{
	struct hostname name = name_of(text);

	cert_wait_join(visitor->world->wait, &visitor->waiter, &name, false);
}

static void reply(struct world *world, const char *name, enum broker_outcome outcome, enum broker_phase phase,
    const char *cause)
{
	struct broker_reply reply = {
	    .name = name_of(name), .outcome = outcome, .phase = phase, .cause = cause};

	cert_wait_deliver(world->wait, &reply);
}

static int setup(void **state)
{
	struct world *world = mem_alloc(sizeof *world);

	fake_clock_begin();
	memset(&asked, 0, sizeof asked);
	world->loop = loop_new();
	world->mailbox = mailbox_new(world->loop, world);
	world->sites = site_cache_new(1 << 20, 100);
	world->wait = cert_wait_new(&(struct cert_wait_config){
	    .loop = world->loop, .mailbox = world->mailbox, .sites = world->sites, .issue_ms = ISSUE_MS});
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	assert_int_equal(cert_wait_flights(world->wait), 0);
	cert_wait_free(world->wait);
	site_cache_free(world->sites);
	mailbox_free(world->mailbox);
	loop_free(world->loop);
	free(world);
	clock_replace(NULL, NULL);
	return 0;
}

static void second_waiter_joins_first_flight(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state);

	join(&a, shop);
	join(&b, shop);
	assert_int_equal(asked.found, 1);
	assert_string_equal(asked.last, shop);
	assert_int_equal(cert_wait_flights(a.world->wait), 1);
	reply(a.world, shop, BROKER_READY, 0, NULL);
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(a.outcome, CERT_READY);
	assert_int_equal(b.outcome, CERT_READY);
}

static void other_names_wait_for_themselves(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state);

	join(&a, shop);
	join(&b, "other.example");
	assert_int_equal(asked.found, 2);
	reply(a.world, shop, BROKER_DENIED, 0, "denied");
	assert_int_equal(a.outcome, CERT_DENIED);
	assert_int_equal(b.calls, 0);
	reply(a.world, "other.example", BROKER_TEMPORARY, 0, "database");
	assert_int_equal(b.outcome, CERT_TEMPORARY);
	assert_string_equal(b.cause, "database");
}

static void last_to_leave_ends_the_flight(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state);

	join(&a, shop);
	join(&b, shop);
	cert_wait_leave(a.world->wait, &a.waiter);
	assert_int_equal(asked.forgotten, 0);
	cert_wait_leave(a.world->wait, &b.waiter);
	assert_int_equal(asked.forgotten, 1);
	assert_int_equal(cert_wait_flights(a.world->wait), 0);
	reply(a.world, shop, BROKER_READY, 0, NULL);
	loop_pass(a.world->loop, 60 * 1000);
	assert_int_equal(a.calls + b.calls, 0);
}

static void the_first_or_the_middle_may_leave(void **state)
{
	struct visitor v[4];

	for (int i = 0; i < 4; i++) {
		v[i] = visitor_new(*state);
		join(&v[i], shop);
	}
	cert_wait_leave(v[0].world->wait, &v[0].waiter);
	cert_wait_leave(v[0].world->wait, &v[2].waiter);
	cert_wait_leave(v[0].world->wait, &v[3].waiter);
	join(&v[2], shop);
	reply(v[0].world, shop, BROKER_READY, 0, NULL);
	assert_int_equal(v[0].calls, 0);
	assert_int_equal(v[1].calls, 1);
	assert_int_equal(v[2].calls, 1);
	assert_int_equal(v[3].calls, 0);
}

static void silent_broker_ends_in_the_lookup_deadline(void **state)
{
	struct visitor a = visitor_new(*state);

	join(&a, shop);
	loop_pass(a.world->loop, CERT_WAIT_LOOKUP_MS - 1);
	assert_int_equal(a.calls, 0);
	loop_pass(a.world->loop, 1);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.outcome, CERT_TEMPORARY);
	assert_string_equal(a.cause, "lookup_deadline");
	assert_int_equal(asked.forgotten, 1);
	/* The next visitor is told at once, for a moment. */
	assert_int_equal(site_cache_find_refusal(a.world->sites, shop), REFUSAL_TEMPORARY);
	loop_pass(a.world->loop, CERT_WAIT_REMEMBER_MS + 1);
	assert_int_equal(site_cache_find_refusal(a.world->sites, shop), REFUSAL_NONE);
}

static void each_phase_has_its_own_deadline(void **state)
{
	struct visitor a = visitor_new(*state);

	join(&a, shop);
	loop_pass(a.world->loop, 900);
	reply(a.world, shop, BROKER_PHASE, BROKER_ASK, NULL);
	loop_pass(a.world->loop, CERT_WAIT_ASK_MS - 1);
	assert_int_equal(a.calls, 0);
	reply(a.world, shop, BROKER_PHASE, BROKER_ISSUE, NULL);
	loop_pass(a.world->loop, ISSUE_MS - 1);
	assert_int_equal(a.calls, 0);
	loop_pass(a.world->loop, 1);
	assert_int_equal(a.calls, 1);
	assert_string_equal(a.cause, "issue_deadline");
	/* The certificate may come any moment: nobody is turned away for this. */
	assert_int_equal(site_cache_find_refusal(a.world->sites, shop), REFUSAL_NONE);
}

static void ask_deadline_is_kept(void **state)
{
	struct visitor a = visitor_new(*state);

	join(&a, shop);
	reply(a.world, shop, BROKER_PHASE, BROKER_ASK, NULL);
	loop_pass(a.world->loop, CERT_WAIT_ASK_MS);
	assert_string_equal(a.cause, "ask_deadline");
}

static void repeated_or_earlier_phase_lengthens_nothing(void **state)
{
	struct visitor a = visitor_new(*state);

	join(&a, shop);
	reply(a.world, shop, BROKER_PHASE, BROKER_ASK, NULL);
	loop_pass(a.world->loop, 4000);
	reply(a.world, shop, BROKER_PHASE, BROKER_LOOKUP, NULL);
	reply(a.world, shop, BROKER_PHASE, BROKER_ASK, NULL);
	loop_pass(a.world->loop, 1000);
	assert_int_equal(a.calls, 1);
}

static void invalidated_name_is_not_remembered_as_refused(void **state)
{
	struct visitor a = visitor_new(*state);

	join(&a, shop);
	site_cache_invalidate(a.world->sites, shop);
	loop_pass(a.world->loop, CERT_WAIT_LOOKUP_MS);
	assert_int_equal(a.calls, 1);
	assert_int_equal(site_cache_find_refusal(a.world->sites, shop), REFUSAL_NONE);
}

static void waiter_may_take_another_along(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state), c = visitor_new(*state);

	a.takes_along = &b;
	join(&a, shop);
	join(&b, shop);
	join(&c, shop);
	reply(a.world, shop, BROKER_READY, 0, NULL);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(c.calls, 1);
}

static void the_last_two_may_go_together(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state);

	a.takes_along = &b;
	join(&a, shop);
	join(&b, shop);
	reply(a.world, shop, BROKER_DENIED, 0, "denied");
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(asked.forgotten, 0);
}

static void who_joins_while_a_flight_ends_begins_another(void **state)
{
	struct visitor a = visitor_new(*state), b = visitor_new(*state);

	a.joins = &b;
	join(&a, shop);
	reply(a.world, shop, BROKER_TEMPORARY, 0, "ask");
	assert_int_equal(b.calls, 0);
	assert_int_equal(asked.found, 2);
	reply(a.world, shop, BROKER_READY, 0, NULL);
	assert_int_equal(b.outcome, CERT_READY);
}

static void replies_for_unknown_names_are_dropped(void **state)
{
	reply(*state, "nobody.example", BROKER_READY, 0, NULL);
	reply(*state, "nobody.example", BROKER_PHASE, BROKER_ISSUE, NULL);
}

static void thousands_of_names_at_once(void **state)
{
	enum { COUNT = 5000 };
	struct visitor *visitors = calloc(COUNT, sizeof *visitors);
	char text[64];

	for (int i = 0; i < COUNT; i++) {
		visitors[i] = visitor_new(*state);
		snprintf(text, sizeof text, "n%d.example", i);
		join(&visitors[i], text);
	}
	for (int i = 0; i < COUNT; i += 2) {
		snprintf(text, sizeof text, "n%d.example", i);
		reply(*state, text, BROKER_READY, 0, NULL);
	}
	loop_pass(((struct world *)*state)->loop, CERT_WAIT_LOOKUP_MS);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(visitors[i].calls, 1);
		assert_int_equal(visitors[i].outcome, i % 2 ? CERT_TEMPORARY : CERT_READY);
	}
	free(visitors);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(second_waiter_joins_first_flight),
	    TEST(other_names_wait_for_themselves),
	    TEST(last_to_leave_ends_the_flight),
	    TEST(the_first_or_the_middle_may_leave),
	    TEST(silent_broker_ends_in_the_lookup_deadline),
	    TEST(each_phase_has_its_own_deadline),
	    TEST(ask_deadline_is_kept),
	    TEST(repeated_or_earlier_phase_lengthens_nothing),
	    TEST(invalidated_name_is_not_remembered_as_refused),
	    TEST(waiter_may_take_another_along),
	    TEST(the_last_two_may_go_together),
	    TEST(who_joins_while_a_flight_ends_begins_another),
	    TEST(replies_for_unknown_names_are_dropped),
	    TEST(thousands_of_names_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
