/* What a request meets on its way to an upstream: which one, what is tried again, what is never. */
#include "h1_harness.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "common/base/tally.h"
#include "edge/conn/proxy_protocol.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void have_page_for_503(const char *html)
{
	struct error_pages *pages = &rig.config->pages;

	error_pages_fini(pages);
	pages->pages[2].html = strdup(html);
	pages->pages[2].size = strlen(html);
	assert_ptr_equal(error_pages_find(pages, 503).bytes, pages->pages[2].html);
}

static void reconfigure(bool proxy_v2)
{
	struct upstream_config *config = plain_upstream_config();

	add_upstream(config, &rig.origin_address);
	config->proxy_v2 = proxy_v2;
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
}

/* The one address of the settings' group, as a reference. */
static struct upstream_address *the_address(void)
{
	struct upstream_group *group = upstreams_group(rig.edge.upstreams, NULL);
	unsigned version = 0;
	struct upstream_members *members = upstreams_members(rig.edge.upstreams, group, &version);
	struct upstream_address *address = upstream_address_ref(members->addresses[0]);

	upstream_members_unref(members);
	upstreams_group_unref(rig.edge.upstreams, group);
	return address;
}

static int64_t retries(enum upstream_retry reason)
{
	return metric_get(upstreams_metrics(rig.edge.upstreams)->retries[reason]);
}

static void the_operators_page_is_the_answer_where_no_upstream_is_left(void **state)
{
	(void)state;
	reconfigure(false);
	have_page_for_503("<p>soon</p>");
	struct upstream_address *address = the_address();
	upstream_address_set_health(address, UPSTREAM_DOWN, 1);
	visit();
	say(&rig.client, GET("/"));
	client_gets_page(503);
	assert_non_null(strstr(rig.client.bytes, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_non_null(strstr(rig.client.bytes, "\r\n\r\n<p>soon</p>"));
	assert_true(nobody_connects());
	upstream_address_unref(address);
}

static void the_page_is_not_for_what_an_upstream_broke(void **state)
{
	(void)state;
	reconfigure(false);
	have_page_for_503("<p>soon</p>");
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "nonsense\r\n\r\n");
	client_gets_page(502);
	assert_null(strstr(rig.client.bytes, "soon"));
}

static void outstanding_requests_are_counted_until_they_end(void **state)
{
	struct upstream_address *address = the_address();

	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	assert_int_equal(atomic_load(&address->outstanding), 1);
	say(&rig.origin, OK);
	client_gets(OK);
	assert_int_equal(atomic_load(&address->outstanding), 0);
	say(&rig.client, GET("/"));
	origin_gets(FORWARDED("/"));
	assert_int_equal(atomic_load(&address->outstanding), 1);
	leave();
	assert_int_equal(atomic_load(&address->outstanding), 0);
	upstream_address_unref(address);
}

static void responses_that_break_off_eject_an_address(void **state)
{
	struct upstream_address *address = the_address();

	(void)state;
	for (int i = 0; i < UPSTREAM_FAILURES_MAX; i++) {
		assert_false(upstream_address_is_ejected(address, loop_now(rig.loop)));
		visit();
		say(&rig.client, GET("/"));
		origin_accepts();
		origin_gets(FORWARDED("/"));
		hang_up(&rig.origin);
		client_gets_page(502);
	}
	assert_true(upstream_address_is_ejected(address, loop_now(rig.loop)));
	/* The only one there is: it is used nevertheless. */
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	upstream_address_unref(address);
}

static void statuses_of_an_upstream_eject_nothing(void **state)
{
	struct upstream_address *address = the_address();

	(void)state;
	visit();
	for (int i = 0; i < 2 * UPSTREAM_FAILURES_MAX; i++) {
		say(&rig.client, GET("/"));
		if (i == 0)
			origin_accepts();
		origin_gets(FORWARDED("/"));
		say(&rig.origin, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
		client_gets("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
	}
	assert_int_equal(atomic_load(&address->failures), 0);
	upstream_address_unref(address);
}

static int accept_at(int listener)
{
	int fd = -1;

	for (int i = 0; i < PATIENCE_ROUNDS && fd < 0; i++) {
		turn();
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

/* The first upstream takes the request and closes; what happens at the origin is the test's matter. */
static void send_to_one_that_hangs_up(const char *request)
{
	struct net_address other = {.size = 0};
	int listener = listen_anywhere(&other);

	another_upstream_comes_first(&other);
	visit();
	say(&rig.client, request);
	int fd = accept_at(listener);
	turns(3);
	/* What came is read, so that the end is an end and no reset. */
	char bytes[4096];
	assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
	close(fd);
	close(listener);
}

/* Three upstreams that take a request and close: the third never hears of it. */
static void an_idempotent_request_goes_to_another_upstream_once(void **state)
{
	int64_t before = retries(UPSTREAM_RETRY_CLOSED);
	struct upstream_config *config = plain_upstream_config();
	struct net_address address = {.size = 0};
	int listeners[3];
	int heard = 0;
	char bytes[4096];

	(void)state;
	for (int i = 0; i < 3; i++) {
		listeners[i] = listen_anywhere(&address);
		add_upstream(config, &address);
	}
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	visit();
	say(&rig.client, GET("/"));
	for (int i = 0; i < PATIENCE_ROUNDS && rig.client.size == 0; i++) {
		turn();
		look(&rig.client);
		int fd = accept4(listeners[i % 3], NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		turns(3);
		assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
		close(fd);
		heard++;
	}
	client_gets_page(502);
	assert_int_equal(heard, 2);
	assert_int_equal(retries(UPSTREAM_RETRY_CLOSED) - before, 1);
	for (int i = 0; i < 3; i++)
		close(listeners[i]);
}

static void a_post_that_was_sent_goes_nowhere_else(void **state)
{
	(void)state;
	send_to_one_that_hangs_up("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");
	client_gets_page(502);
	assert_true(nobody_connects());
	send_to_one_that_hangs_up("POST / HTTP/1.1\r\n" H "\r\n");
	client_gets_page(502);
	assert_true(nobody_connects());
	send_to_one_that_hangs_up("PUT / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void what_is_kept_to_an_address_that_is_gone_is_closed(void **state)
{
	struct net_address other = {.size = 0};
	int listener = listen_anywhere(&other);
	struct upstream_config *config = plain_upstream_config();

	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets(OK);
	assert_int_equal(harness_idle_upstreams(), 1);
	add_upstream(config, &other);
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	time_passes(UPSTREAM_SWEEP_MS + 10);
	expect_closed(&rig.origin, "the origin that is gone");
	assert_int_equal(harness_idle_upstreams(), 0);
	close(listener);
}

/* What this process may have open from now on: nothing more. Returns what to give back. */
static rlim_t forbid_descriptors(void)
{
	struct rlimit limit;
	int next = dup(STDERR_FILENO);

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void allow_descriptors(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void out_of_descriptors_what_is_kept_for_others_makes_room(void **state)
{
	struct net_address other = {.size = 0};
	int listener = listen_anywhere(&other);

	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets(OK);
	assert_int_equal(harness_idle_upstreams(), 1);
	another_upstream_comes_first(&other);
	rlim_t before = forbid_descriptors();
	say(&rig.client, GET("/"));
	turns(3);
	allow_descriptors(before);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(harness_idle_upstreams(), 0);
	close(fd);
	close(listener);
}

static void a_request_in_flight_to_an_address_that_goes_is_served(void **state)
{
	struct net_address other = {.size = 0};
	int listener = listen_anywhere(&other);
	struct upstream_config *config = plain_upstream_config();

	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	add_upstream(config, &other);
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	turns(3);
	say(&rig.origin, OK);
	client_gets(OK);
	assert_int_equal(harness_idle_upstreams(), 0);
	expect_closed(&rig.origin, "the origin that is gone");
	close(listener);
}

static void expect_header(const char *expected_client)
{
	struct proxy_header header;
	enum proxy_problem problem = PROXY_OK;
	char text[NET_ADDRESS_TEXT];
	size_t used = 0;

	for (int i = 0; i < PATIENCE_ROUNDS && !strstr(rig.origin.bytes + rig.origin.size / 2, "\r\n\r\n");
	     i++) {
		turn();
		look(&rig.origin);
	}
	assert_int_equal(
	    proxy_header_parse(&header, rig.origin.bytes, rig.origin.size, &used, &problem), R_OK);
	assert_string_equal(net_format_address(&header.source, text), expected_client);
	assert_string_equal(rig.origin.bytes + used, FORWARDED("/"));
	forget(&rig.origin);
}

static void with_proxy_headers_each_request_has_a_connection_of_its_own(void **state)
{
	(void)state;
	reconfigure(true);
	visit();
	for (int i = 0; i < 2; i++) {
		say(&rig.client, GET("/"));
		origin_accepts();
		expect_header("192.0.2.7:1234");
		say(&rig.origin, OK);
		client_gets(OK);
		expect_closed(&rig.origin, "a connection that told whose it is");
	}
}

static void headers_switched_on_end_what_was_kept_without(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets(OK);
	reconfigure(true);
	say(&rig.client, GET("/"));
	expect_closed(&rig.origin, "what was kept");
	origin_accepts();
	expect_header("192.0.2.7:1234");
}

/* ---- who keeps up: here time stands still, however busy the machine is */

static int64_t standing_still_us;

static int64_t standing_us(void)
{
	return standing_still_us;
}

static void end_round(struct loop_io *io, uint32_t events)
{
	(void)io, (void)events;
	loop_stop(rig.loop);
}

/* The app has more than all buffers on the way take, and the client takes nothing. The least that was
 * buffered meanwhile. */
static int64_t fill_all(void)
{
	static const char body[64 * 1024];
	struct loop_io always = {.fd = eventfd(1, EFD_CLOEXEC), .on_ready = end_round};
	int64_t least = INT64_MAX;

	loop_watch(rig.loop, &always, EPOLLIN);
	for (int idle = 0; idle < 20; idle++) {
		while (send(rig.origin.fd, body, sizeof body, MSG_NOSIGNAL) > 0)
			idle = 0;
		poll(NULL, 0, 1);
		loop_run(rig.loop);
		int64_t now = tally_sum(TALLY_BUFFER_BYTES);
		least = now < least ? now : least;
	}
	loop_close(rig.loop, &always);
	return least;
}

static int64_t buffered_when_the_client_takes_some_after(int64_t ms)
{
	standing_still_us += ms * 1000;
	look(&rig.client);
	forget(&rig.client);
	return fill_all();
}

/* Its socket may be full for a moment: what is read for it is no less. Who does not take it for longer has
 * less of our memory. */
static void a_body_is_read_in_large_pieces_for_who_takes_it_at_once(void **state)
{
	enum { WINDOW = 512 * 1024, LARGE = 256 * 1024, SMALL = 64 * 1024 };

	(void)state;
	visit_with(true, WINDOW);
	say(&rig.client, GET("/"));
	origin_accepts();
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
	standing_still_us = skewed_us();
	clock_replace(standing_us, standing_wall_ms);
	fill_all();
	assert_true(buffered_when_the_client_takes_some_after(0) - before >= LARGE);
	assert_true(buffered_when_the_client_takes_some_after(20) - before >= LARGE);
	assert_true(buffered_when_the_client_takes_some_after(21) - before < 2 * SMALL);
}

static int time_goes_on(void **state)
{
	clock_replace(skewed_us, standing_wall_ms);
	return harness_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(the_operators_page_is_the_answer_where_no_upstream_is_left),
	    rig_test(the_page_is_not_for_what_an_upstream_broke),
	    rig_test(outstanding_requests_are_counted_until_they_end),
	    rig_test(responses_that_break_off_eject_an_address),
	    rig_test(statuses_of_an_upstream_eject_nothing),
	    rig_test(an_idempotent_request_goes_to_another_upstream_once),
	    rig_test(a_post_that_was_sent_goes_nowhere_else),
	    rig_test(what_is_kept_to_an_address_that_is_gone_is_closed),
	    rig_test(out_of_descriptors_what_is_kept_for_others_makes_room),
	    rig_test(a_request_in_flight_to_an_address_that_goes_is_served),
	    rig_test(with_proxy_headers_each_request_has_a_connection_of_its_own),
	    rig_test(headers_switched_on_end_what_was_kept_without),
	    cmocka_unit_test_setup_teardown(
		a_body_is_read_in_large_pieces_for_who_takes_it_at_once, harness_setup, time_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
