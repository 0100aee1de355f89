#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "edge/upstream/upstreams_internal.h"

static struct upstreams *upstreams;

static struct upstream_config *config_of(const char *const *urls, size_t count)
{
	struct upstream_config *config = mem_alloc(sizeof *config);

	atomic_init(&config->references, 1);
	config->connect_ms = config->first_byte_ms = config->idle_ms = 1000;
	config->resolve_ms = config->slow_start_ms = config->health_ms = 1000;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(upstream_url_parse(&config->urls[i], urls[i], NULL), R_OK);
	config->url_count = count;
	return config;
}

static void begin_with(const char *const *urls, size_t count)
{
	struct upstream_config *config = config_of(urls, count);

	upstreams = upstreams_new(config);
	upstream_config_unref(config);
}

static void configure(const char *const *urls, size_t count)
{
	struct upstream_config *config = config_of(urls, count);

	upstreams_configure(upstreams, config);
	upstream_config_unref(config);
}

static int teardown(void **state)
{
	(void)state;
	upstreams_free(upstreams);
	upstreams = NULL;
	return 0;
}

/* A reference for the caller. */
static struct upstream_members *members_of(struct upstream_group *group)
{
	unsigned version = 0;

	return upstreams_members(upstreams, group, &version);
}

static struct upstream_members *defaults(void)
{
	struct upstream_group *group = upstreams_group(upstreams, NULL);
	struct upstream_members *members = members_of(group);

	upstreams_group_unref(upstreams, group);
	return members;
}

static void all_values_of_the_setting_are_one_group(void **state)
{
	static const char *const urls[] = {
	    "http://127.0.0.1:81", "http://127.0.0.1:82", "http://127.0.0.1:81/"};

	(void)state;
	begin_with(urls, 3);
	struct upstream_members *members = defaults();
	assert_int_equal(members->count, 2);
	assert_string_equal(members->addresses[0]->text, "127.0.0.1:81");
	assert_string_equal(members->addresses[1]->text, "127.0.0.1:82");
	upstream_members_unref(members);
}

static void an_address_is_one_whatever_leads_to_it(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81"};

	(void)state;
	begin_with(urls, 1);
	struct upstream_group *own = upstreams_group(upstreams, "http://127.0.0.1:81/");
	struct upstream_group *secure = upstreams_group(upstreams, "https://127.0.0.1:81");
	struct upstream_members *ours = defaults();
	struct upstream_members *theirs = members_of(own);
	struct upstream_members *others = members_of(secure);

	assert_ptr_equal(ours->addresses[0], theirs->addresses[0]);
	assert_ptr_not_equal(ours->addresses[0], others->addresses[0]);
	upstream_members_unref(ours);
	upstream_members_unref(theirs);
	upstream_members_unref(others);
	upstreams_group_unref(upstreams, own);
	upstreams_group_unref(upstreams, secure);
}

static void the_same_url_is_the_same_group(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81"};

	(void)state;
	begin_with(urls, 1);
	struct upstream_group *one = upstreams_group(upstreams, "http://127.0.0.1:82");
	struct upstream_group *other = upstreams_group(upstreams, "http://127.0.0.1:82");
	assert_ptr_equal(one, other);
	upstreams_group_unref(upstreams, one);
	upstreams_group_unref(upstreams, other);
}

static void what_is_no_url_is_no_group(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81"};

	(void)state;
	begin_with(urls, 1);
	int64_t refused = metric_get(upstreams_metrics(upstreams)->groups_refused);
	assert_null(upstreams_group(upstreams, "ftp://127.0.0.1"));
	assert_null(upstreams_group(upstreams, ""));
	assert_int_equal(metric_get(upstreams_metrics(upstreams)->groups_refused) - refused, 2);
}

static void above_the_bound_the_least_recently_used_group_goes(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81"};
	static struct upstream_group *groups[UPSTREAM_GROUPS_MAX];
	char url[40];

	(void)state;
	begin_with(urls, 1);
	for (int i = 0; i < UPSTREAM_GROUPS_MAX; i++) {
		snprintf(url, sizeof url, "http://127.0.0.1:%d", 1000 + i);
		assert_non_null(groups[i] = upstreams_group(upstreams, url));
	}
	assert_null(upstreams_group(upstreams, "http://127.0.0.1:80"));
	struct upstream_members *members = members_of(groups[7]);
	upstreams_group_unref(upstreams, groups[7]);
	upstreams_group_unref(upstreams, groups[5]);
	upstreams_group_unref(upstreams, upstreams_group(upstreams, "http://127.0.0.1:1005"));
	assert_non_null(groups[7] = upstreams_group(upstreams, "http://127.0.0.1:80"));
	assert_true(atomic_load(&members->addresses[0]->gone));
	assert_non_null(groups[5] = upstreams_group(upstreams, "http://127.0.0.1:1005"));
	assert_null(upstreams_group(upstreams, "http://127.0.0.1:79"));
	upstream_members_unref(members);
	for (int i = 0; i < UPSTREAM_GROUPS_MAX; i++)
		upstreams_group_unref(upstreams, groups[i]);
}

static void new_settings_keep_what_is_known_of_addresses_that_stay(void **state)
{
	static const char *const before[] = {"http://127.0.0.1:81", "http://127.0.0.1:82"};
	static const char *const after[] = {"http://127.0.0.1:83", "http://127.0.0.1:82"};

	(void)state;
	begin_with(before, 2);
	struct upstream_members *old = defaults();
	upstream_address_set_health(old->addresses[1], UPSTREAM_DOWN, 1);
	configure(after, 2);
	struct upstream_members *new = defaults();
	assert_int_equal(new->count, 2);
	assert_ptr_equal(new->addresses[1], old->addresses[1]);
	assert_true(upstream_address_is_down(new->addresses[1]));
	assert_false(atomic_load(&old->addresses[1]->gone));
	assert_true(atomic_load(&old->addresses[0]->gone));
	assert_string_equal(new->addresses[0]->text, "127.0.0.1:83");
	upstream_members_unref(old);
	upstream_members_unref(new);
}

static void other_cas_or_names_make_other_addresses(void **state)
{
	static const char *const urls[] = {"https://127.0.0.1:81", "http://127.0.0.1:81"};
	struct upstream_config *config = config_of(urls, 2);

	(void)state;
	begin_with(urls, 2);
	struct upstream_members *old = defaults();
	config->server_name = mem_string("app.internal");
	upstreams_configure(upstreams, config);
	struct upstream_members *named = defaults();
	assert_ptr_not_equal(named->addresses[0], old->addresses[0]);
	assert_string_equal(named->addresses[0]->server_name, "app.internal");
	assert_ptr_equal(named->addresses[1], old->addresses[1]);
	struct upstream_config *other = config_of(urls, 2);
	other->server_name = mem_string("app.internal");
	other->ca = mem_string("x");
	other->ca_size = 1;
	upstreams_configure(upstreams, other);
	struct upstream_members *trusted = defaults();
	assert_ptr_not_equal(trusted->addresses[0], named->addresses[0]);
	assert_true(atomic_load(&named->addresses[0]->gone));
	assert_ptr_equal(trusted->addresses[1], old->addresses[1]);
	upstream_members_unref(old);
	upstream_members_unref(named);
	upstream_members_unref(trusted);
	upstream_config_unref(config);
	upstream_config_unref(other);
}

/* Polls: the look-up is another thread's. */
static bool until_looked_up(struct upstream_group *group)
{
	const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};

	for (int i = 0; i < 2000 && upstream_group_is_pending(group); i++)
		nanosleep(&step, NULL);
	return !upstream_group_is_pending(group);
}

static void a_name_is_looked_up_in_the_background(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81"};
	struct error error = {""};

	(void)state;
	begin_with(urls, 1);
	struct upstream_group *group = upstreams_group(upstreams, "http://localhost:81");
	assert_true(upstream_group_is_pending(group));
	unsigned version = upstream_group_version(group);
	assert_int_equal(upstreams_start(upstreams, &error), R_OK);
	assert_true(until_looked_up(group));
	assert_true(upstream_group_version(group) > version);
	struct upstream_members *members = members_of(group);
	assert_true(members->count > 0);
	upstream_members_unref(members);
	upstreams_group_unref(upstreams, group);
}

static void a_due_check_is_handed_out_once(void **state)
{
	static const char *const urls[] = {"http://127.0.0.1:81", "http://127.0.0.1:82"};
	struct upstream_address *due[4];

	(void)state;
	begin_with(urls, 2);
	struct upstream_group *own = upstreams_group(upstreams, "http://127.0.0.1:81");
	assert_int_equal(upstreams_due_checks(upstreams, 1000, true, due, 1), 1);
	assert_int_equal(upstreams_due_checks(upstreams, 1000, true, due + 1, 3), 1);
	assert_int_equal(upstreams_due_checks(upstreams, 1000, true, due + 2, 2), 0);
	assert_ptr_not_equal(due[0], due[1]);
	due[0]->is_checked = false;
	due[0]->next_check_ms = 2000;
	assert_int_equal(upstreams_due_checks(upstreams, 1999, true, due + 2, 2), 0);
	assert_int_equal(upstreams_due_checks(upstreams, 2000, true, due + 2, 2), 1);
	for (int i = 0; i < 3; i++)
		upstream_address_unref(due[i]);
	upstreams_group_unref(upstreams, own);
}

/* As if a look-up had found them. */
static void find_addresses(struct upstream_group *group, int net)
{
	static struct net_address found[UPSTREAM_ADDRESSES_MAX];
	char text[32];

	for (int i = 0; i < UPSTREAM_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof text, "10.9.%d.%d:80", net, i);
		assert_int_equal(net_parse_address(&found[i], text, NULL), R_OK);
	}
	pthread_mutex_lock(&upstreams->lock);
	upstreams_set_addresses_locked(upstreams, group->sources[0], found, UPSTREAM_ADDRESSES_MAX);
	pthread_mutex_unlock(&upstreams->lock);
}

static void addresses_of_domains_leave_room_for_those_of_the_settings(void **state)
{
	enum { GROUPS = UPSTREAM_ADDRESSES_TOTAL / UPSTREAM_ADDRESSES_MAX };
	static const char *const before[] = {"http://127.0.0.1:81"};
	static const char *const after[] = {"http://127.0.0.1:82", "http://127.0.0.1:83"};
	struct upstream_group *groups[GROUPS];
	char url[40];

	(void)state;
	begin_with(before, 1);
	for (int i = 0; i < GROUPS; i++) {
		snprintf(url, sizeof url, "http://app%d.invalid", i);
		assert_non_null(groups[i] = upstreams_group(upstreams, url));
		find_addresses(groups[i], i);
	}
	struct upstream_group *late = upstreams_group(upstreams, "http://10.8.0.1");
	struct upstream_members *none = members_of(late);
	assert_int_equal(none->count, 0);
	configure(after, 2);
	struct upstream_members *members = defaults();
	assert_int_equal(members->count, 2);
	upstream_members_unref(members);
	upstream_members_unref(none);
	upstreams_group_unref(upstreams, late);
	for (int i = 0; i < GROUPS; i++)
		upstreams_group_unref(upstreams, groups[i]);
}

/* Else the first ones of the list, hanging, would keep all others from ever being asked. */
static void who_was_checked_last_is_checked_last(void **state)
{
	static const char *const urls[] = {
	    "http://127.0.0.1:81", "http://127.0.0.1:82", "http://127.0.0.1:83"};
	struct upstream_address *due[4];

	(void)state;
	begin_with(urls, 3);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(upstreams_due_checks(upstreams, 1000, true, due + i, 1), 1);
		due[i]->is_checked = false;
	}
	assert_ptr_not_equal(due[1], due[0]);
	assert_ptr_not_equal(due[2], due[0]);
	assert_ptr_not_equal(due[2], due[1]);
	assert_ptr_equal(due[3], due[0]);
	for (int i = 0; i < 4; i++)
		upstream_address_unref(due[i]);
}

#define upstreams_unit_test(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    upstreams_unit_test(all_values_of_the_setting_are_one_group),
	    upstreams_unit_test(an_address_is_one_whatever_leads_to_it),
	    upstreams_unit_test(the_same_url_is_the_same_group),
	    upstreams_unit_test(what_is_no_url_is_no_group),
	    upstreams_unit_test(above_the_bound_the_least_recently_used_group_goes),
	    upstreams_unit_test(new_settings_keep_what_is_known_of_addresses_that_stay),
	    upstreams_unit_test(other_cas_or_names_make_other_addresses),
	    upstreams_unit_test(a_name_is_looked_up_in_the_background),
	    upstreams_unit_test(a_due_check_is_handed_out_once),
	    upstreams_unit_test(addresses_of_domains_leave_room_for_those_of_the_settings),
	    upstreams_unit_test(who_was_checked_last_is_checked_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
