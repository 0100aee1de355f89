/* What DNS says about a domain, into verdicts: every case, and several at once. */
#include "tests/support/diagnose_case.h"

static struct diagnose_case *it;

static int begin(void **state)
{
	(void)state;
	it = case_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(it);
	return 0;
}

static void expect(const char *codes)
{
	assert_string_equal(case_codes(it), codes);
}

/* The record that a verdict wants. */
static void expect_record(
    const char *code, const char *action, const char *type, const char *name, const char *value)
{
	const struct verdict *verdict = case_verdict(it, code);
	assert_non_null(verdict->action);
	assert_string_equal(verdict->action, action);
	assert_string_equal(verdict->type, type);
	assert_string_equal(verdict->name, name);
	assert_string_equal(verdict->value, value);
	assert_true(verdict->mend[0] != '\0');
}

static struct resolver_answer none(void)
{
	return case_outcome(RESOLVER_NO_DATA);
}

/* ---- all is well ---- */

static void what_is_right_is_said_to_be(void **state)
{
	(void)state;
	expect("txt_ok routing_ok caa_ok");
	for (size_t i = 0; i < it->verdicts.count; i++)
		assert_string_equal(it->verdicts.list[i].mend, "");
}

static void without_a_thorough_look_the_ordinary_check_is_judged(void **state)
{
	(void)state;
	it->facts.look = NULL;
	expect("txt_ok routing_ok");
	it->txt = case_texts(it, "\"" CASE_VALUE "\"", NULL);
	it->routing.name_a = it->routing.name_aaaa = none();
	expect("txt_quoted_twice routing_missing");
}

/* ---- ownership ---- */

static void a_missing_record_is_to_be_added(void **state)
{
	(void)state;
	case_set_txt(it, case_outcome(RESOLVER_NO_NAME));
	expect("txt_missing routing_ok caa_ok");
	expect_record("txt_missing", "add", "TXT", CASE_TXT, CASE_VALUE);
}

static void each_alteration_has_its_verdict(void **state)
{
	(void)state;
	static const struct {
		const char *value, *code;
	} cases[] = {{"\"" CASE_VALUE "\"", "txt_quoted_twice"},
	    {CASE_VALUE ".brand.test", "txt_zone_appended"}, {CASE_VALUE ".", "txt_altered"},
	    {" " CASE_VALUE, "txt_altered"}, {CASE_TOKEN, "txt_altered"},
	    {"fedcba9876543210fedcba9876543210.verify.saas.test", "txt_old_value"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct resolver_answer answer = case_texts(it, "v=spf1 -all", cases[i].value, NULL);
		case_set_txt(it, answer);
		case_codes(it);
		expect_record(cases[i].code, "change", "TXT", CASE_TXT, CASE_VALUE);
		assert_string_equal(case_verdict(it, cases[i].code)->found[1], cases[i].value);
	}
}

static void a_foreign_value_may_stay_beside_the_right_one(void **state)
{
	(void)state;
	case_set_txt(it, case_texts(it, "v=spf1 -all", "other", NULL));
	expect("txt_wrong_value routing_ok caa_ok");
	expect_record("txt_wrong_value", "add", "TXT", CASE_TXT, CASE_VALUE);
	assert_int_equal(case_verdict(it, "txt_wrong_value")->found_count, 2);
}

static void the_right_value_at_a_wrong_place_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *code, *name;
	} cases[] = {{"txt_name_doubled", CASE_TXT "." CASE_ZONE}, {"txt_on_bare_name", CASE_NAME},
	    {"txt_without_subdomain", "acme_verify." CASE_ZONE}};
	struct resolver_answer *places[] = {&it->look.doubled, &it->look.bare, &it->look.without_subdomain};
	case_set_txt(it, case_outcome(RESOLVER_NO_NAME));
	for (size_t i = 0; i < 3; i++) {
		*places[i] = case_texts(it, "v=spf1 -all", CASE_VALUE, NULL);
		case_codes(it);
		expect_record(cases[i].code, "change", "TXT", CASE_TXT, CASE_VALUE);
		assert_string_equal(case_verdict(it, cases[i].code)->found[0], cases[i].name);
		*places[i] = case_outcome(RESOLVER_NO_NAME);
	}
}

/* A wildcard record answers for any name: only the right value counts. */
static void another_value_at_a_wrong_place_means_nothing(void **state)
{
	(void)state;
	case_set_txt(it, case_outcome(RESOLVER_NO_NAME));
	it->look.doubled = it->look.bare = it->look.without_subdomain = case_texts(it, "v=spf1 -all", NULL);
	expect("txt_missing routing_ok caa_ok");
}

static void the_newest_attempt_is_spoken_of(void **state)
{
	(void)state;
	case_set_txt(it, case_texts(it, "fedcba9876543210fedcba9876543210.verify.saas.test", NULL));
	it->look.doubled = case_texts(it, CASE_VALUE, NULL);
	expect("txt_name_doubled routing_ok caa_ok");
	case_set_txt(it, case_texts(it, "\"" CASE_VALUE "\"", NULL));
	expect("txt_quoted_twice routing_ok caa_ok");
}

static void an_alias_in_the_place_of_the_record_is_told(void **state)
{
	(void)state;
	case_set_txt(it, case_alias(case_outcome(RESOLVER_NO_DATA), "parked.example"));
	expect("txt_behind_alias routing_ok caa_ok");
	expect_record("txt_behind_alias", "add", "TXT", CASE_TXT, CASE_VALUE);
	assert_non_null(strstr(case_verdict(it, "txt_behind_alias")->summary, "parked.example"));
}

static void a_record_on_some_servers_is_spreading(void **state)
{
	(void)state;
	it->look.servers[2].txt = case_outcome(RESOLVER_NO_NAME);
	expect("txt_on_some_servers routing_ok caa_ok");
	assert_non_null(strstr(case_verdict(it, "txt_on_some_servers")->summary, "2 of 3"));
	assert_non_null(strstr(case_verdict(it, "txt_on_some_servers")->summary, "ns3.brand.test"));
	it->txt = case_outcome(RESOLVER_NO_NAME);
	expect("txt_on_some_servers routing_ok caa_ok");
	it->look.servers[2].standing = SERVER_SILENT;
	it->txt = it->look.servers[0].txt;
	expect("txt_ok routing_ok caa_ok");
}

static void two_providers_that_disagree_do_not_spread(void **state)
{
	(void)state;
	it->look.servers[2].txt = case_outcome(RESOLVER_NO_NAME);
	strcpy(it->look.servers[2].primary, "ns.old-provider.example");
	expect("zone_split routing_ok caa_ok");
	assert_int_equal(verdict_kinds[VERDICT_ZONE_SPLIT].state, VERDICT_ACT);
	/* They may be two as long as they say the same. */
	it->look.servers[2].txt = it->look.servers[0].txt;
	expect("txt_ok routing_ok caa_ok");
}

static void a_name_in_use_by_another_is_told(void **state)
{
	(void)state;
	it->facts.is_owned_by_another = true;
	expect("txt_owned_by_another routing_ok caa_ok");
	case_set_txt(it, case_outcome(RESOLVER_NO_NAME));
	expect("txt_missing routing_ok caa_ok");
}

/* ---- the zone ---- */

static void break_look_ups(enum resolver_outcome outcome)
{
	it->txt = it->routing.name_a = it->routing.name_aaaa = case_outcome(outcome);
	for (size_t i = 0; i < it->look.climb_count; i++)
		it->look.caa[i] = case_outcome(outcome);
}

static void stand(enum server_standing first, enum server_standing others)
{
	for (int i = 0; i < CASE_SERVERS; i++)
		it->look.servers[i].standing = i ? others : first;
}

/* The first law: what could not be checked is never told as wrong. */
static void what_could_not_be_checked_is_never_wrong(void **state)
{
	(void)state;
	static const enum server_standing standings[] = {SERVER_SILENT, SERVER_FAILS, SERVER_GARBLES};
	break_look_ups(RESOLVER_TEMPORARY);
	for (size_t i = 0; i < 4; i++) {
		if (i < 3)
			stand(standings[i], standings[i]);
		it->look.server_count = i < 3 ? CASE_SERVERS : 0;
		case_codes(it);
		for (size_t j = 0; j < it->verdicts.count; j++)
			assert_int_equal(verdict_kinds[it->verdicts.list[j].code].state, VERDICT_UNKNOWN);
		assert_true(it->verdicts.count >= 3);
	}
	it->facts.look = NULL;
	expect("txt_could_not_check routing_could_not_check");
}

static void broken_zones_are_told_apart(void **state)
{
	(void)state;
	break_look_ups(RESOLVER_TEMPORARY);
	stand(SERVER_SILENT, SERVER_SILENT);
	expect("servers_silent txt_could_not_check routing_could_not_check caa_could_not_check");
	stand(SERVER_FAILS, SERVER_SILENT);
	expect("servfail txt_could_not_check routing_could_not_check caa_could_not_check");
	stand(SERVER_REFUSES, SERVER_IS_LAME);
	expect("lame_delegation txt_could_not_check routing_could_not_check caa_could_not_check");
	stand(SERVER_PRIVATE, SERVER_PRIVATE);
	expect("lame_delegation txt_could_not_check routing_could_not_check caa_could_not_check");
	assert_non_null(strstr(case_verdict(it, "lame_delegation")->summary, "private"));
	it->look.zone.standing = ZONE_NONE;
	expect("zone_missing");
}

/* Where our own way to the servers is closed, the resolver's answers still hold. */
static void silent_servers_are_no_matter_where_the_look_ups_came_through(void **state)
{
	(void)state;
	stand(SERVER_SILENT, SERVER_SILENT);
	expect("txt_ok routing_ok caa_ok");
	case_set_txt(it, case_outcome(RESOLVER_NO_NAME));
	expect("txt_missing routing_ok caa_ok");
	it->routing.name_a = it->routing.name_aaaa = case_outcome(RESOLVER_TEMPORARY);
	expect("txt_missing routing_could_not_check caa_ok");
}

static void a_lame_server_among_good_ones_is_advice(void **state)
{
	(void)state;
	stand(SERVER_REFUSES, SERVER_ANSWERS);
	expect("lame_server txt_ok routing_ok caa_ok");
	assert_int_equal(verdict_kinds[VERDICT_LAME_SERVER].state, VERDICT_OK);
	assert_non_null(strstr(case_verdict(it, "lame_server")->summary, "1 of 3"));
	assert_true(case_verdict(it, "lame_server")->mend[0] != '\0');
}

static void broken_dnssec_is_the_domains_or_ours(void **state)
{
	(void)state;
	break_look_ups(RESOLVER_BOGUS);
	expect("dnssec_bogus txt_could_not_check routing_could_not_check caa_could_not_check");
	it->look.root_is_bogus = true;
	expect("dnssec_not_checkable txt_could_not_check routing_could_not_check caa_could_not_check");
	it->facts.look = NULL;
	expect("dnssec_bogus txt_could_not_check routing_could_not_check");
}

/* ---- routing ---- */

static void a_domain_that_leads_nowhere_gets_its_record(void **state)
{
	(void)state;
	case_set_route(it, "", none(), none());
	expect("txt_ok routing_missing caa_ok");
	expect_record("routing_missing", "add", "CNAME", CASE_NAME, CASE_TARGET);
}

static void a_domain_that_leads_elsewhere_is_to_change(void **state)
{
	(void)state;
	case_set_route(it, "", case_addresses(it, OTHER4, NULL), case_addresses(it, OTHER6, NULL));
	expect("txt_ok routing_elsewhere caa_ok");
	expect_record("routing_elsewhere", "change", "CNAME", CASE_NAME, CASE_TARGET);
	assert_string_equal(case_verdict(it, "routing_elsewhere")->found[0], OTHER4);
	assert_string_equal(case_verdict(it, "routing_elsewhere")->found[1], OTHER6);
	case_set_route(it, "old.host.example", case_addresses(it, OTHER4, NULL), none());
	expect("txt_ok routing_elsewhere caa_ok");
	assert_string_equal(case_verdict(it, "routing_elsewhere")->found[0], "old.host.example");
}

static void left_over_addresses_are_to_be_removed_one_by_one(void **state)
{
	(void)state;
	case_set_route(it, "", case_addresses(it, OURS4, OTHER4, NULL), case_addresses(it, OTHER6, NULL));
	expect("txt_ok leftover_aaaa second_a caa_ok");
	expect_record("leftover_aaaa", "remove", "AAAA", CASE_NAME, OTHER6);
	expect_record("second_a", "remove", "A", CASE_NAME, OTHER4);
	case_set_route(it, "", case_addresses(it, OURS4, NULL), case_addresses(it, OTHER6, NULL));
	expect("txt_ok leftover_aaaa caa_ok");
}

/* A load balancer's addresses change from one look-up to the next. */
static void behind_an_alias_of_ours_nothing_is_left_over(void **state)
{
	(void)state;
	case_set_route(it, CASE_TARGET, case_addresses(it, OURS4, OTHER4, NULL), none());
	expect("txt_ok routing_ok caa_ok");
}

static void a_cdn_is_not_wrong(void **state)
{
	(void)state;
	case_set_route(it, "", case_addresses(it, "104.16.1.1", "172.67.3.4", NULL),
	    case_addresses(it, "2606:4700::6810:1", NULL));
	expect("txt_ok behind_cdn caa_ok");
	assert_int_equal(verdict_kinds[VERDICT_BEHIND_CDN].state, VERDICT_UNKNOWN);
	assert_non_null(strstr(case_verdict(it, "behind_cdn")->summary, "Cloudflare"));
	case_set_route(it, "d111111abcdef8.cloudfront.net", case_addresses(it, OTHER4, NULL), none());
	expect("txt_ok behind_cdn caa_ok");
	/* One address of another's: not behind it. */
	case_set_route(it, "", case_addresses(it, "104.16.1.1", OTHER4, NULL), none());
	expect("txt_ok routing_elsewhere caa_ok");
	case_set_route(it, "", case_addresses(it, OTHER4, "104.16.1.1", NULL), none());
	expect("txt_ok routing_elsewhere caa_ok");
	case_set_route(it, "evilcloudfront.net", case_addresses(it, OTHER4, NULL), none());
	expect("txt_ok routing_elsewhere caa_ok");
}

static void mistakes_in_the_alias_are_told(void **state)
{
	(void)state;
	case_set_route(it, CASE_TARGET "." CASE_ZONE, case_outcome(RESOLVER_NO_NAME), none());
	expect("txt_ok cname_zone_appended caa_ok");
	expect_record("cname_zone_appended", "change", "CNAME", CASE_NAME, CASE_TARGET);
	case_set_route(it, CASE_TARGET "-" CASE_ZONE, case_outcome(RESOLVER_NO_NAME), none());
	expect("txt_ok cname_leads_nowhere caa_ok");
	case_set_route(it, "nlb.sass.test", case_outcome(RESOLVER_NO_NAME), case_outcome(RESOLVER_NO_NAME));
	expect("txt_ok cname_leads_nowhere caa_ok");
	expect_record("cname_leads_nowhere", "change", "CNAME", CASE_NAME, CASE_TARGET);
	case_set_route(it, "", none(), none());
	it->look.doubled_cname = case_texts(it, CASE_TARGET, NULL);
	expect("txt_ok cname_name_doubled caa_ok");
	assert_string_equal(case_verdict(it, "cname_name_doubled")->found[0], CASE_NAME "." CASE_ZONE);
	it->look.doubled_cname = case_texts(it, "elsewhere.example", NULL);
	expect("txt_ok routing_missing caa_ok");
}

static void be_an_apex(void)
{
	it->facts.name = CASE_ZONE;
	it->records[1] = (struct record){.type = "A", .name = CASE_ZONE, .value = OURS4};
}

static void an_alias_at_the_apex_is_replaced_by_addresses(void **state)
{
	(void)state;
	be_an_apex();
	expect("txt_ok cname_at_apex caa_ok");
	expect_record("cname_at_apex", "remove", "CNAME", CASE_ZONE, CASE_TARGET);
	assert_non_null(strstr(case_verdict(it, "cname_at_apex")->mend, "A " OURS4));
	/* What a provider flattens is none. */
	case_set_route(it, "", case_addresses(it, OURS4, NULL), case_addresses(it, OURS6, NULL));
	expect("txt_ok routing_ok caa_ok");
}

static void an_apex_that_leads_nowhere_gets_addresses_or_an_alias_of_another_kind(void **state)
{
	(void)state;
	be_an_apex();
	case_set_route(it, "", none(), none());
	expect("txt_ok routing_missing caa_ok");
	assert_non_null(strstr(case_verdict(it, "routing_missing")->mend, "A " OURS4));
	assert_non_null(strstr(case_verdict(it, "routing_missing")->mend, "ALIAS"));
	it->routing.apex_count = 0;
	expect("txt_ok routing_missing caa_ok");
	assert_null(strstr(case_verdict(it, "routing_missing")->mend, OURS4));
	assert_non_null(strstr(case_verdict(it, "routing_missing")->mend, "ALIAS"));
}

/* A subdomain that is a zone of its own can't have a CNAME either. */
static void a_delegated_subdomain_is_an_apex(void **state)
{
	(void)state;
	strcpy(it->look.zone.name, CASE_NAME);
	case_set_route(it, "", none(), none());
	expect("txt_ok routing_missing caa_ok");
	assert_non_null(strstr(case_verdict(it, "routing_missing")->mend, "A " OURS4));
}

static void servers_that_disagree_about_the_way_are_waited_for(void **state)
{
	(void)state;
	strcpy(it->look.servers[1].alias, "");
	it->look.servers[1].a = case_addresses(it, OTHER4, NULL);
	expect("txt_ok routing_on_some_servers caa_ok");
	/* What leads to another alias may lead here from there. */
	strcpy(it->look.servers[1].alias, "www.brand.test");
	expect("txt_ok routing_ok caa_ok");
	case_set_route(it, "", case_addresses(it, OTHER4, NULL), none());
	strcpy(it->look.servers[0].alias, CASE_TARGET);
	expect("txt_ok routing_on_some_servers caa_ok");
	strcpy(it->look.servers[0].primary, "ns.old-provider.example");
	expect("txt_ok zone_split caa_ok");
}

static void a_circle_of_aliases_is_told(void **state)
{
	(void)state;
	it->routing.name_a = it->routing.name_aaaa = case_outcome(RESOLVER_TEMPORARY);
	it->look.chain_loops = true;
	it->look.chain_count = 2;
	strcpy(it->look.chain[0], CASE_NAME);
	strcpy(it->look.chain[1], "b.brand.test");
	expect("txt_ok cname_loop caa_ok");
	expect_record("cname_loop", "change", "CNAME", CASE_NAME, CASE_TARGET);
	it->look.chain_loops = false;
	it->look.servers[0].alias_loops = true;
	expect("txt_ok cname_loop caa_ok");
}

static void an_address_of_ours_that_is_unknown_is_the_operators(void **state)
{
	(void)state;
	case_set_route(it, "", case_addresses(it, OTHER4, NULL), none());
	it->routing.target_a = case_outcome(RESOLVER_TEMPORARY);
	expect("txt_ok our_address_unknown caa_ok");
	assert_string_equal(verdict_kinds[VERDICT_OUR_ADDRESS_UNKNOWN].who, "operator");
}

/* ---- the certificate ---- */

static void set_caa(const char *value)
{
	struct dns_answers *answers = case_keep(it);
	answers_add_caa(answers, 0, "issue", value);
	it->look.caa[1] = answers->answer;
}

static void caa_that_forbids_gets_the_record_to_add(void **state)
{
	(void)state;
	set_caa("other.example");
	expect("txt_ok routing_ok caa_forbids");
	expect_record("caa_forbids", "add", "CAA", CASE_ZONE, "0 issue \"ca.test\"");
	assert_string_equal(case_verdict(it, "caa_forbids")->found[0], "0 issue \"other.example\"");
	set_caa("ca.test; accounturi=https://ca.test/2");
	expect("txt_ok routing_ok caa_other_account");
	expect_record("caa_other_account", "add", "CAA", CASE_ZONE,
	    "0 issue \"ca.test; accounturi=https://ca.test/1\"");
	set_caa("ca.test; validationmethods=email-01");
	expect("txt_ok routing_ok caa_other_method");
	expect_record("caa_other_method", "add", "CAA", CASE_ZONE,
	    "0 issue \"ca.test; validationmethods=tls-alpn-01,http-01\"");
	set_caa("ca.test; validationmethods=dns-01");
	expect("txt_ok routing_ok caa_by_dns_only");
	assert_int_equal(verdict_kinds[VERDICT_CAA_BY_DNS_ONLY].state, VERDICT_UNKNOWN);
	set_caa("ca.test; validationmethods=http-01");
	expect("txt_ok routing_ok caa_ok");
}

static void one_ca_that_may_is_enough(void **state)
{
	(void)state;
	struct judge_ca two[2] = {it->ca, it->ca};
	strcpy(two[1].identities[0], "second.test");
	it->facts.cas = two;
	it->facts.ca_count = 2;
	set_caa("second.test");
	expect("txt_ok routing_ok caa_ok");
	set_caa(";");
	expect("txt_ok routing_ok caa_forbids");
	expect_record("caa_forbids", "add", "CAA", CASE_ZONE, "0 issue \"ca.test\"");
}

static void an_unknown_critical_property_is_to_be_removed(void **state)
{
	(void)state;
	struct dns_answers *answers = case_keep(it);
	answers_add_caa(answers, 128, "tbs", "x");
	it->look.caa[0] = answers->answer;
	expect("txt_ok routing_ok caa_critical");
	expect_record("caa_critical", "remove", "CAA", CASE_NAME, "tbs");
}

static void without_a_ca_caa_is_not_judged(void **state)
{
	(void)state;
	it->facts.ca_count = 0;
	set_caa(";");
	expect("txt_ok routing_ok");
}

/* ---- hostile ---- */

static void bytes_of_dns_become_printable_ascii(void **state)
{
	(void)state;
	case_set_txt(it, case_texts(it, "<script>\x1b[2J\xff\xe2\x80\xae", NULL));
	expect("txt_wrong_value routing_ok caa_ok");
	assert_string_equal(
	    case_verdict(it, "txt_wrong_value")->found[0], "<script>\\027[2J\\255\\226\\128\\174");
	set_caa("\x1b\xff evil");
	expect("txt_wrong_value routing_ok caa_forbids");
	assert_string_equal(case_verdict(it, "caa_forbids")->found[0], "0 issue \"?? evil\"");
	json_t *json = verdicts_json(&it->verdicts);
	assert_int_equal(json_array_size(json), 3);
	json_decref(json);
}

static void more_than_there_is_room_for_is_cut(void **state)
{
	(void)state;
	static char names[VERDICT_SUMMARY * 2];
	struct verdict *verdict = verdicts_add(&it->verdicts, VERDICT_TXT_OK);
	memset(names, 'x', sizeof names - 1);
	verdict_say(verdict, "%s", names);
	verdict_say(verdict, "%s", names);
	assert_int_equal(strlen(verdict->summary), VERDICT_SUMMARY - 1);
	for (int i = 0; i < 2 * VERDICT_FOUND_MAX; i++)
		verdict_found(verdict, names, sizeof names);
	assert_int_equal(verdict->found_count, VERDICT_FOUND_MAX);
	for (int i = 0; i < 2 * VERDICTS_MAX; i++)
		verdicts_add(&it->verdicts, VERDICT_TXT_OK);
	assert_int_equal(it->verdicts.count, VERDICTS_MAX);
}

#define case_test(test) cmocka_unit_test_setup_teardown(test, begin, end)

/* Wherever the sentence is cut: in the middle of a character it would be no JSON. */
static void a_circle_of_long_names_is_told_as_well(void **state)
{
	(void)state;
	it->look.chain_loops = true;
	it->look.chain_count = LOOK_CHAIN_MAX;
	for (size_t size = 220; size <= HOSTNAME_MAX; size++) {
		for (size_t i = 0; i < LOOK_CHAIN_MAX; i++)
			memset(it->look.chain[i], 'a', size);
		case_codes(it);
		assert_true(strlen(case_verdict(it, "cname_loop")->summary) > VERDICT_SUMMARY - 8);
		json_t *list = verdicts_json(&it->verdicts);
		assert_int_equal(json_array_size(list), it->verdicts.count);
		json_decref(list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    case_test(what_is_right_is_said_to_be),
	    case_test(without_a_thorough_look_the_ordinary_check_is_judged),
	    case_test(a_missing_record_is_to_be_added),
	    case_test(each_alteration_has_its_verdict),
	    case_test(a_foreign_value_may_stay_beside_the_right_one),
	    case_test(the_right_value_at_a_wrong_place_is_found),
	    case_test(another_value_at_a_wrong_place_means_nothing),
	    case_test(the_newest_attempt_is_spoken_of),
	    case_test(an_alias_in_the_place_of_the_record_is_told),
	    case_test(a_record_on_some_servers_is_spreading),
	    case_test(two_providers_that_disagree_do_not_spread),
	    case_test(a_name_in_use_by_another_is_told),
	    case_test(what_could_not_be_checked_is_never_wrong),
	    case_test(broken_zones_are_told_apart),
	    case_test(silent_servers_are_no_matter_where_the_look_ups_came_through),
	    case_test(a_lame_server_among_good_ones_is_advice),
	    case_test(broken_dnssec_is_the_domains_or_ours),
	    case_test(a_domain_that_leads_nowhere_gets_its_record),
	    case_test(a_domain_that_leads_elsewhere_is_to_change),
	    case_test(left_over_addresses_are_to_be_removed_one_by_one),
	    case_test(behind_an_alias_of_ours_nothing_is_left_over),
	    case_test(a_cdn_is_not_wrong),
	    case_test(mistakes_in_the_alias_are_told),
	    case_test(an_alias_at_the_apex_is_replaced_by_addresses),
	    case_test(an_apex_that_leads_nowhere_gets_addresses_or_an_alias_of_another_kind),
	    case_test(a_delegated_subdomain_is_an_apex),
	    case_test(servers_that_disagree_about_the_way_are_waited_for),
	    case_test(a_circle_of_aliases_is_told),
	    case_test(an_address_of_ours_that_is_unknown_is_the_operators),
	    case_test(caa_that_forbids_gets_the_record_to_add),
	    case_test(one_ca_that_may_is_enough),
	    case_test(an_unknown_critical_property_is_to_be_removed),
	    case_test(without_a_ca_caa_is_not_judged),
	    case_test(bytes_of_dns_become_printable_ascii),
	    case_test(more_than_there_is_room_for_is_cut),
	    case_test(a_circle_of_long_names_is_told_as_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
