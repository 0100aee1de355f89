#include "edge/http/route.h"
#include "h1_harness.h"

#define ACME "/.well-known/acme-challenge/"

enum { H1_NOTICE_TIME = 1000 };

static void visit_port_80(void)
{
	visit_with(false, 0);
}

static void challenge_reply(enum result result, const char *key_authorization)
{
	struct challenge_reply reply = {.connection = 77, .result = result, .id = 4711};

	snprintf(reply.key_authorization, sizeof reply.key_authorization, "%s", key_authorization);
	turn();
	http_conn_challenge(rig.conn, &reply);
}

static const char *body_of(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void a_live_token_gets_its_key_authorization_exactly(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "GET " ACME "tok-EN_1 HTTP/1.1\r\nHost: A.Example:80\r\n\r\n");
	turns(2);
	assert_string_equal(rig.asked_name, "a.example");
	assert_string_equal(rig.asked_token, "tok-EN_1");
	assert_int_equal(rig.asked_connection, 77);
	challenge_reply(R_OK, "tok-EN_1.thumbprint");
	client_gets_page(200);
	assert_string_equal(body_of(rig.client.bytes), "tok-EN_1.thumbprint");
	assert_non_null(strstr(rig.client.bytes, "Content-Type: application/octet-stream\r\n"));
	assert_non_null(strstr(rig.client.bytes, "Content-Length: 19\r\n"));
	assert_int_equal(rig.marked, 4711);
}

static void head_of_a_token_gets_the_head(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "HEAD " ACME "t HTTP/1.1\r\n" H "\r\n");
	turns(2);
	challenge_reply(R_OK, "t.x");
	client_gets_page(200);
	assert_non_null(strstr(rig.client.bytes, "Content-Length: 3\r\n"));
	assert_string_equal(body_of(rig.client.bytes), "");
}

static void requests_pipelined_behind_a_look_up_wait_for_it(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n" GET("/next"));
	turns(3);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	challenge_reply(R_NONE, "");
	turns(3);
	look(&rig.client);
	assert_memory_equal(rig.client.bytes, "HTTP/1.1 404 ", 13);
	assert_non_null(strstr(rig.client.bytes, "HTTP/1.1 308 "));
	assert_int_equal(rig.marked, 0);
}

static void a_database_that_is_down_is_503(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
	turns(2);
	challenge_reply(R_DOWN, "");
	client_gets_page(503);
}

static void too_many_look_ups_are_503(void **state)
{
	(void)state;
	rig.challenge_result = R_LIMIT;
	visit_port_80();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
	client_gets_page(503);
}

static void a_look_up_has_five_seconds_and_a_late_reply_harms_nobody(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
	turns(2);
	time_passes(4500);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	time_passes(1000);
	client_gets_page(503);
	challenge_reply(R_OK, "t.x");
	turns(2);
	look(&rig.client);
	assert_null(strstr(rig.client.bytes, "t.x"));
}

static void a_client_that_leaves_during_a_look_up_harms_nobody(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
	turns(2);
	reset_connection(&rig.client);
	turns(3);
	assert_true(rig.is_closed);
}

static void expect_status(const char *request, int status)
{
	visit_port_80();
	rig.asked_token[0] = '\0';
	say(&rig.client, request);
	client_gets_page(status);
	if (rig.asked_token[0] != '\0')
		fail_msg("%s\nasked for the token %s", request, rig.asked_token);
	leave();
}

static void what_is_no_token_is_404(void **state)
{
	char request[512];
	char longest[ROUTE_TOKEN_MAX + 2];

	(void)state;
	expect_status("GET " ACME " HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("GET " ACME "../../etc/passwd HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("GET " ACME "a/b HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("GET " ACME "a.b HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("GET " ACME "%61 HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("GET " ACME "a?x HTTP/1.1\r\n" H "\r\n", 404);
	expect_status("POST " ACME "a HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 404);
	memset(longest, 'a', ROUTE_TOKEN_MAX + 1);
	longest[ROUTE_TOKEN_MAX + 1] = '\0';
	snprintf(request, sizeof request, "GET " ACME "%s HTTP/1.1\r\n" H "\r\n", longest);
	expect_status(request, 404);
}

static void expect_redirect(const char *request, const char *location)
{
	char line[256];

	visit_port_80();
	say(&rig.client, request);
	client_gets_page(308);
	snprintf(line, sizeof line, "\r\nLocation: %s\r\n", location);
	if (!strstr(rig.client.bytes, line))
		fail_msg("%s\nexpected %s, got:\n%s", request, location, rig.client.bytes);
	assert_string_equal(body_of(rig.client.bytes), "308 Permanent Redirect\n");
	leave();
}

static void everything_else_goes_to_https(void **state)
{
	(void)state;
	expect_redirect("GET /x/y?z=1 HTTP/1.1\r\n" H "\r\n", "https://a.example/x/y?z=1");
	expect_redirect("GET / HTTP/1.1\r\nHost: A.EXAMPLE:8080\r\n\r\n", "https://a.example/");
	expect_redirect("GET //b.example/ HTTP/1.1\r\n" H "\r\n", "https://a.example//b.example/");
	expect_redirect("OPTIONS * HTTP/1.1\r\n" H "\r\n", "https://a.example/");
	expect_redirect("GET http://a.example?q HTTP/1.1\r\n" H "\r\n", "https://a.example/?q");
	expect_redirect("GET /.well-known/acme-challenges/x HTTP/1.1\r\n" H "\r\n",
	    "https://a.example/.well-known/acme-challenges/x");
}

static void a_redirect_keeps_the_connection_unless_a_body_follows(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, GET("/1"));
	client_gets_page(308);
	assert_null(strstr(rig.client.bytes, "Connection: close"));
	forget(&rig.client);
	say(&rig.client, "POST /2 HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nGET /evil HTTP/1.1\r\n");
	client_gets_page(308);
	assert_non_null(strstr(rig.client.bytes, "Connection: close\r\n"));
	expect_closed(&rig.client, "the client");
	assert_null(strstr(rig.client.bytes, "evil"));
}

static void a_host_that_is_no_name_is_400(void **state)
{
	(void)state;
	expect_status("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", 400);
	expect_status("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 400);
	expect_status("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
	expect_status("GET / HTTP/1.1\r\nHost: -a.example\r\n\r\n", 400);
	expect_status("GET / HTTP/1.1\r\nHost: a..example\r\n\r\n", 400);
	expect_status("GET / HTTP/1.0\r\n\r\n", 400);
	expect_status("GET " ACME "t HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", 400);
}

static void behind_tls_a_live_token_is_answered_too(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
	turns(2);
	assert_string_equal(rig.asked_name, "a.example");
	challenge_reply(R_OK, "t.x");
	client_gets_page(200);
	assert_string_equal(body_of(rig.client.bytes), "t.x");
}

static void behind_tls_any_other_token_is_the_upstreams(void **state)
{
	static const enum result results[] = {R_NONE, R_DOWN};

	(void)state;
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		visit();
		say(&rig.client, "GET " ACME "t HTTP/1.1\r\n" H "\r\n");
		turns(2);
		challenge_reply(results[i], "");
		origin_accepts();
		origin_gets(FORWARDED(ACME "t"));
		leave();
	}
}

/* ---- why there is nothing to redirect to */

static void ask_why(const char *method, const char *host)
{
	char request[512];

	visit_port_80();
	rig.notice_result = R_OK;
	snprintf(request, sizeof request, "%s /x?y HTTP/1.1\r\nHost: %s\r\n\r\n", method, host);
	say(&rig.client, request);
	turns(2);
}

static void notice_reply(const char *name, enum notice_kind kind, int64_t retry_s)
{
	struct notice_reply reply = {.connection = 77, .kind = kind, .retry_s = retry_s};

	snprintf(reply.name.text, sizeof reply.name.text, "%s", name);
	turn();
	http_conn_notice(rig.conn, &reply);
}

static void a_name_without_certificate_gets_the_reason(void **state)
{
	(void)state;
	ask_why("GET", "A.Example:80");
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	assert_string_equal(rig.noticed_name, "a.example");
	notice_reply("a.example", NOTICE_CAA, 600);
	client_gets_page(503);
	assert_non_null(strstr(rig.client.bytes, "Retry-After: 600\r\n"));
	assert_non_null(strstr(rig.client.bytes, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_non_null(strstr(rig.client.bytes, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(body_of(rig.client.bytes), "CAA record"));
	assert_non_null(strstr(body_of(rig.client.bytes), "2023-11-14 22:23 UTC"));
	assert_null(strstr(body_of(rig.client.bytes), "example"));
}

static void every_reason_has_a_page_that_says_who_must_act(void **state)
{
	(void)state;
	for (int kind = NOTICE_NONE + 1; kind < NOTICE_KINDS; kind++) {
		ask_why("GET", "a.example");
		notice_reply("a.example", (enum notice_kind)kind, kind % 2 ? 0 : 100000);
		client_gets_page(503);
		assert_non_null(strstr(rig.client.bytes, "Retry-After: "));
		if (!strstr(body_of(rig.client.bytes), " has to ") &&
		    !strstr(body_of(rig.client.bytes), "Nobody has to act"))
			fail_msg("%d: %s", kind, rig.client.bytes);
		expect_ending(&rig.client, "</html>\n");
	}
}

static void head_of_a_notice_has_no_body(void **state)
{
	(void)state;
	ask_why("HEAD", "a.example");
	notice_reply("a.example", NOTICE_ISSUING, 0);
	client_gets_page(503);
	assert_string_equal(body_of(rig.client.bytes), "");
	assert_non_null(strstr(rig.client.bytes, "Retry-After: 5\r\n"));
}

static void without_a_reason_or_an_answer_in_time_it_is_a_redirect(void **state)
{
	(void)state;
	ask_why("GET", "a.example");
	notice_reply("a.example", NOTICE_NONE, 0);
	client_gets_page(308);
	assert_non_null(strstr(rig.client.bytes, "Location: https://a.example/x?y\r\n"));
	ask_why("GET", "a.example");
	time_passes(H1_NOTICE_TIME / 2);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	time_passes(H1_NOTICE_TIME);
	client_gets_page(308);
}

static void a_late_reply_for_another_name_is_not_shown(void **state)
{
	(void)state;
	ask_why("GET", "a.example");
	notice_reply("b.example", NOTICE_SUSPENDED, 0);
	turns(2);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	notice_reply("a.example", NOTICE_NONE, 0);
	client_gets_page(308);
	notice_reply("a.example", NOTICE_SUSPENDED, 0);
	forget(&rig.client);
	turns(2);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
}

static void redirects_lead_to_the_port_that_visitors_know(void **state)
{
	(void)state;
	visit_port_80();
	rig.edge_config.trust.https_port = 8443;
	say(&rig.client, "GET /x HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
	client_gets_page(308);
	assert_non_null(strstr(rig.client.bytes, "Location: https://a.example:8443/x\r\n"));
}

static void who_pipelines_and_shuts_his_side_gets_all_answers(void **state)
{
	int count = 0;

	(void)state;
	visit_port_80();
	rig.notice_result = R_OK;
	say(&rig.client, GET("/1") GET("/2") GET("/3"));
	shutdown(rig.client.fd, SHUT_WR);
	turns(3);
	for (int i = 0; i < 3 && rig.conn; i++)
		notice_reply("a.example", NOTICE_NONE, 0);
	expect_closed(&rig.client, "the client");
	for (const char *at = rig.client.bytes; (at = strstr(at, "HTTP/1.1 308 ")); at++)
		count++;
	assert_int_equal(count, 3);
	assert_non_null(strstr(rig.client.bytes, "https://a.example/3\r\n"));
}

static void trace_is_not_implemented(void **state)
{
	(void)state;
	visit_port_80();
	say(&rig.client, "TRACE / HTTP/1.1\r\n" H "\r\n");
	client_gets_page(501);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(a_live_token_gets_its_key_authorization_exactly),
	    rig_test(a_name_without_certificate_gets_the_reason),
	    rig_test(every_reason_has_a_page_that_says_who_must_act),
	    rig_test(head_of_a_notice_has_no_body),
	    rig_test(without_a_reason_or_an_answer_in_time_it_is_a_redirect),
	    rig_test(a_late_reply_for_another_name_is_not_shown),
	    rig_test(redirects_lead_to_the_port_that_visitors_know),
	    rig_test(who_pipelines_and_shuts_his_side_gets_all_answers),
	    rig_test(trace_is_not_implemented),
	    rig_test(head_of_a_token_gets_the_head),
	    rig_test(requests_pipelined_behind_a_look_up_wait_for_it),
	    rig_test(a_database_that_is_down_is_503),
	    rig_test(too_many_look_ups_are_503),
	    rig_test(a_look_up_has_five_seconds_and_a_late_reply_harms_nobody),
	    rig_test(a_client_that_leaves_during_a_look_up_harms_nobody),
	    rig_test(what_is_no_token_is_404),
	    rig_test(everything_else_goes_to_https),
	    rig_test(a_redirect_keeps_the_connection_unless_a_body_follows),
	    rig_test(a_host_that_is_no_name_is_400),
	    rig_test(behind_tls_a_live_token_is_answered_too),
	    rig_test(behind_tls_any_other_token_is_the_upstreams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
