/* The last look before a connection is made: whatever a name was resolved to, by us or by libcurl, and
 * whatever was looked at before. */
#include "acme/webhook/post.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>

#include "common/net/net.h"

static int listener;
static uint16_t port;

static int listen_on_loopback(void **state)
{
	(void)state;
	struct net_address address;
	struct error error;
	if (net_parse_address(&address, "127.0.0.1:0", &error) != R_OK ||
	    net_listen(&listener, &address, false, &error) != R_OK ||
	    net_local_address(listener, &address, &error) != R_OK)
		return -1;
	port = (uint16_t)net_port(&address);
	return 0;
}

static int stop_listening(void **state)
{
	(void)state;
	return close(listener);
}

static bool somebody_came(void)
{
	struct pollfd waiting = {.fd = listener, .events = POLLIN};
	if (poll(&waiting, 1, 0) != 1)
		return false;
	close(accept(listener, NULL, NULL));
	return true;
}

static struct outcome send_to(const struct webhook_rules *rules, const char *host, const char *addresses)
{
	struct webhook_target target = {.port = port};
	struct outcome outcome;
	struct post *post = post_new(rules, NULL);
	CURLM *multi = curl_multi_init();
	CURLMsg *message = NULL;
	int running = 1, left = 0;
	snprintf(target.host.text, sizeof target.host.text, "%s", host);
	snprintf(target.url, sizeof target.url, "http://%s:%u/", host, (unsigned)port);
	const struct post_request request = {.target = &target,
	    .addresses = addresses,
	    .id = "msg_1",
	    .timestamp = 1,
	    .signatures = "v1,x",
	    .body = "{}"};
	post_begin(post, multi, &request, NULL);
	while (!(message = curl_multi_info_read(multi, &left)) &&
	       curl_multi_perform(multi, &running) == CURLM_OK)
		if (running && somebody_came())
			running = 0; /* it is closed at once: that ends the request */
	assert_non_null(message);
	post_end(post, multi, message->data.result, &outcome);
	post_free(post);
	curl_multi_cleanup(multi);
	return outcome;
}

static void inner_addresses_are_not_connected_to(void **state)
{
	(void)state;
	static const struct {
		const char *host, *addresses;
	} ways[] = {
	    {"hooks.test", "127.0.0.1"},
	    {"hooks.test", "[::ffff:127.0.0.1]"},
	    {"hooks.test", "[::1],127.0.0.1,0.0.0.0"},
	    {"localhost", NULL}, /* libcurl's own look-up */
	    {"127.0.0.1", NULL},
	    {"[::1]", NULL},
	    {"0.0.0.0", NULL},
	};
	const struct webhook_rules rules = {.http = true};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct outcome outcome = send_to(&rules, ways[i].host, ways[i].addresses);
		if (outcome.delivered || strcmp(outcome.kind, "barred") != 0 || somebody_came())
			fail_msg("%s at %s: %s", ways[i].host, ways[i].addresses ? ways[i].addresses : "?",
			    outcome.kind);
	}
}

static void those_allowed_are(void **state)
{
	(void)state;
	struct ip_range range;
	struct error error;
	assert_int_equal(ip_range_parse(&range, "127.0.0.1/32", &error), R_OK);
	const struct webhook_rules rules = {.http = true, .allowed = {.ranges = &range, .count = 1}};
	struct outcome outcome = send_to(&rules, "hooks.test", "[::1],127.0.0.1");
	assert_string_equal(outcome.kind, "network"); /* who came was shown the door */
	outcome = send_to(&rules, "hooks.test", "127.0.0.2");
	assert_string_equal(outcome.kind, "barred");
}

static void other_schemes_are_not_spoken(void **state)
{
	(void)state;
	struct ip_range range;
	struct error error;
	assert_int_equal(ip_range_parse(&range, "127.0.0.1/32", &error), R_OK);
	const struct webhook_rules rules = {.allowed = {.ranges = &range, .count = 1}};
	struct outcome outcome = send_to(&rules, "127.0.0.1", NULL);
	assert_string_equal(outcome.kind, "network");
	assert_false(somebody_came());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inner_addresses_are_not_connected_to),
	    cmocka_unit_test(those_allowed_are),
	    cmocka_unit_test(other_schemes_are_not_spoken),
	};
	return cmocka_run_group_tests_name("post", tests, listen_on_loopback, stop_listening);
}
