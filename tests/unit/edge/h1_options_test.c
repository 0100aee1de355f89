/* What the options of its domain make of a request: who comes in, what is sent elsewhere, what is too long.
 */
#include "h1_harness.h"

#include "edge/site/site_options.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void serve(const char *name, const char *lines)
{
	struct certificate certificate = {.chain_count = 1, .chain_size = {4}, .not_after = INT64_MAX};
	struct domain_options options;
	struct hostname hostname;
	static int64_t version;

	snprintf(hostname.text, sizeof hostname.text, "%s", name);
	certificate.chain[0] = calloc(1, 4);
	site_options_read(&options, lines, true, name);
	struct site *site = site_new(
	    &hostname, (struct site_stamp){++version, 0}, &certificate, "key", 3, "tenant", &options);
	assert_int_equal(site_cache_put(rig.edge.sites, site), R_OK);
	domain_options_fini(&options);
	site_unref(site);
}

static int64_t refused(struct metric *metric)
{
	int64_t before = metric_get(metric);

	metric_add(metric, -before);
	return before;
}

/* ---- allow, deny */

static void denied_address_gets_403_and_no_upstream(void **state)
{
	(void)state;
	serve("a.example", "{\"deny\":[\"192.0.2.0/24\"]}");
	visit();
	say(&rig.client, GET("/"));
	client_gets("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n403 "
		    "Forbidden\n");
	assert_true(nobody_connects());
	assert_int_equal(refused(rig.config->metrics.refused_address), 1);
	serve("a.example", "{\"allow\":[\"192.0.2.7\"]}");
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets(OK);
}

static void the_address_is_what_a_trusted_cdn_says(void **state)
{
	struct ip_range cdn;

	(void)state;
	assert_int_equal(ip_range_parse(&cdn, "192.0.2.0/24", NULL), R_OK);
	rig.edge_config.trust.cdns = (struct ip_ranges){&cdn, 1};
	serve("a.example", "{\"deny\":[\"203.0.113.9\"]}");
	visit();
	say(&rig.client, "GET / HTTP/1.1\r\n" H "X-Forwarded-For: 203.0.113.9\r\n\r\n");
	client_gets_page(403);
	forget(&rig.client);
	say(&rig.client, "GET / HTTP/1.1\r\n" H "X-Forwarded-For: 203.0.113.8\r\n\r\n");
	origin_accepts();
	rig.edge_config.trust.cdns = (struct ip_ranges){0};
	visit();
	say(&rig.client, "GET / HTTP/1.1\r\n" H "X-Forwarded-For: 203.0.113.9\r\n\r\n");
	origin_accepts();
}

static void list_that_cannot_be_read_refuses_everybody(void **state)
{
	(void)state;
	serve("a.example", "{\"deny\":[\"203.0.113.0/33\"]}");
	visit();
	say(&rig.client, GET("/"));
	client_gets_page(403);
	assert_true(nobody_connects());
}

static void port_80_refuses_too(void **state)
{
	(void)state;
	serve("a.example", "{\"allow\":[\"198.51.100.0/24\"]}");
	visit_with(false, 0);
	say(&rig.client, GET("/"));
	client_gets_page(403);
}

static void challenges_are_answered_whoever_asks(void **state)
{
	const struct challenge_reply reply = {.result = R_OK, .id = 5, .key_authorization = "token.thumb"};

	(void)state;
	serve("a.example", "{\"allow\":[\"198.51.100.0/24\"]}\n{\"redirect\":\"b.example\"}");
	for (int tls = 0; tls < 2; tls++) {
		visit_with(tls, 0);
		say(&rig.client, GET("/.well-known/acme-challenge/token"));
		turns(5);
		http_conn_challenge(rig.conn, &reply);
		expect_ending(&rig.client, "\r\n\r\ntoken.thumb");
		assert_int_equal(memcmp(rig.client.bytes, "HTTP/1.1 200 ", 13), 0);
	}
}

static void hsts_is_never_said_twice(void **state)
{
	(void)state;
	serve("a.example",
	    "{\"hsts\":5}\n{\"response_headers\":{\"add\":{\"Strict-Transport-Security\":\"max-age=9\"}}}");
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets("HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=9\r\nContent-Length: 2\r\n\r\nhi");
}

/* ---- passthrough */

/* With what held for it before: the setting's upstream may be another app. */
static void name_that_is_passed_on_now_ends_its_connections(void **state)
{
	(void)state;
	serve("a.example", "{\"response_headers\":{\"add\":{\"X-Kept\":\"1\"}}}");
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nhi");
	serve("a.example", "{\"passthrough\":\"192.0.2.1:443\"}");
	say(&rig.client, GET("/"));
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
}

/* ---- redirect */

static void redirect_keeps_path_and_query(void **state)
{
	(void)state;
	serve("a.example", "{\"redirect\":{\"host\":\"www.a.example\",\"status\":301}}\n{\"hsts\":5}");
	visit();
	say(&rig.client, "POST /x/y?z=%20 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 301 Moved Permanently\r\nContent-Type: text/plain\r\n"
		    "Location: https://www.a.example/x/y?z=%20\r\nStrict-Transport-Security: max-age=5\r\n"
		    "Content-Length: 22\r\nConnection: close\r\n\r\n301 Moved Permanently\n");
	assert_true(nobody_connects());
	serve("a.example", "{\"redirect\":\"www.a.example\"}");
	rig.edge_config.trust.https_port = 8443;
	visit();
	say(&rig.client, "HEAD /x HTTP/1.1\r\n" H "\r\n");
	client_gets("HTTP/1.1 308 Permanent Redirect\r\nContent-Type: text/plain\r\n"
		    "Location: https://www.a.example:8443/x\r\nContent-Length: 23\r\n\r\n");
}

/* ---- max_body */

static void announced_body_that_is_too_long_gets_413_at_once(void **state)
{
	(void)state;
	serve("a.example", "{\"max_body\":4}");
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
	client_gets_page(413);
	expect_closed(&rig.client, "the client");
	assert_true(nobody_connects());
	assert_int_equal(refused(rig.config->metrics.refused_body), 1);
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nbody");
	origin_accepts();
	expect_ending(&rig.origin, "\r\n\r\nbody");
	say(&rig.origin, OK);
	client_gets(OK);
}

static void chunked_body_that_grows_too_long_never_reaches_the_upstream(void **state)
{
	(void)state;
	serve("a.example", "{\"max_body\":4}");
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	origin_accepts();
	expect_ending(&rig.origin, "3\r\nabc\r\n");
	say(&rig.client, "2\r\n@@\r\n0\r\n\r\n");
	client_gets_page(413);
	expect_closed(&rig.origin, "the origin");
	assert_null(strstr(rig.origin.bytes, "@@"));
	assert_int_equal(refused(rig.config->metrics.refused_body), 1);
	visit();
	say(&rig.client,
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
	origin_accepts();
	expect_ending(&rig.origin, "cd\r\n0\r\n\r\n");
	say(&rig.origin, OK);
	client_gets(OK);
}

static void response_that_had_begun_is_cut_where_the_body_is_too_long(void **state)
{
	(void)state;
	serve("a.example", "{\"max_body\":4}");
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
	expect_ending(&rig.client, "\r\n\r\nhi");
	say(&rig.client, "2\r\nde\r\n");
	expect_closed(&rig.client, "the client");
	assert_null(strstr(rig.client.bytes, "413"));
}

static void setting_counts_where_the_domain_says_nothing(void **state)
{
	(void)state;
	rig.config->max_body = 4;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nbody!");
	client_gets_page(413);
	serve("a.example", "{\"max_body\":0}");
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nbody!");
	origin_accepts();
	expect_ending(&rig.origin, "\r\n\r\nbody!");
}

/* ---- response_headers */

static void fields_are_removed_then_added(void **state)
{
	(void)state;
	serve("a.example",
	    "{\"response_headers\":{\"add\":{\"X-Frame-Options\":\"DENY\",\"Server\":\"none\"},"
	    "\"remove\":[\"Server\",\"X-Powered-By\"]}}");
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nSERVER: app/1\r\nX-A: b\r\nX-Powered-By: c\r\n"
			 "x-powered-by: d\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nX-A: b\r\nX-Frame-Options: DENY\r\nServer: none\r\n"
		    "Content-Length: 2\r\n\r\nhi");
}

static void answers_of_ours_for_the_domain_carry_them_too(void **state)
{
	(void)state;
	serve("a.example", "{\"response_headers\":{\"add\":{\"X-A\":\"b\"}}}\n{\"deny\":[\"192.0.2.7\"]}");
	visit();
	say(&rig.client, GET("/"));
	client_gets(
	    "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nX-A: b\r\nContent-Length: 14\r\n\r\n"
	    "403 Forbidden\n");
}

static void another_hosts_421_carries_nothing_of_the_domain(void **state)
{
	(void)state;
	serve("a.example", "{\"response_headers\":{\"add\":{\"X-A\":\"b\"}}}\n{\"hsts\":5}");
	rig.config->pages.pages[0].html = strdup("<p>wrong door</p>");
	rig.config->pages.pages[0].size = 17;
	visit();
	say(&rig.client, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
	client_gets("HTTP/1.1 421 Misdirected Request\r\nContent-Type: text/html; charset=utf-8\r\n"
		    "Content-Length: 17\r\n\r\n<p>wrong door</p>");
}

static void the_most_that_may_be_added_fits(void **state)
{
	char lines[DOMAIN_OPTIONS_MAX] = "{\"response_headers\":{\"add\":{";
	char value[900];

	(void)state;
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (int i = 0; i < DOMAIN_FIELDS_MAX; i++)
		snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s\"X-%d\":\"%s\"",
		    i > 0 ? "," : "", i, value);
	strcat(lines, "}}}\n{\"hsts\":5}");
	serve("a.example", lines);
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		say(&rig.origin, "X-App: 0123456789012345678901234567890123456789\r\n");
	say(&rig.origin, "Content-Length: 2\r\n\r\nhi");
	expect_ending(&rig.client, "\r\n\r\nhi");
	assert_non_null(strstr(rig.client.bytes, "X-15: vvv"));
}

/* ---- error_pages */

static void a_domains_page_goes_before_the_operators(void **state)
{
	(void)state;
	serve("a.example", "{\"error_pages\":{\"502\":\"<p>ours</p>\"}}");
	rig.config->pages.pages[1].html = strdup("<p>theirs</p>");
	rig.config->pages.pages[1].size = 13;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "nonsense\r\n\r\n");
	client_gets("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n"
		    "Content-Length: 11\r\n\r\n<p>ours</p>");
	serve("a.example", "{\"error_pages\":{\"503\":\"<p>ours</p>\"}}");
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "nonsense\r\n\r\n");
	client_gets("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n"
		    "Content-Length: 13\r\n\r\n<p>theirs</p>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(denied_address_gets_403_and_no_upstream),
	    rig_test(the_address_is_what_a_trusted_cdn_says),
	    rig_test(list_that_cannot_be_read_refuses_everybody),
	    rig_test(port_80_refuses_too),
	    rig_test(challenges_are_answered_whoever_asks),
	    rig_test(name_that_is_passed_on_now_ends_its_connections),
	    rig_test(hsts_is_never_said_twice),
	    rig_test(redirect_keeps_path_and_query),
	    rig_test(announced_body_that_is_too_long_gets_413_at_once),
	    rig_test(chunked_body_that_grows_too_long_never_reaches_the_upstream),
	    rig_test(response_that_had_begun_is_cut_where_the_body_is_too_long),
	    rig_test(setting_counts_where_the_domain_says_nothing),
	    rig_test(fields_are_removed_then_added),
	    rig_test(answers_of_ours_for_the_domain_carry_them_too),
	    rig_test(another_hosts_421_carries_nothing_of_the_domain),
	    rig_test(the_most_that_may_be_added_fits),
	    rig_test(a_domains_page_goes_before_the_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
