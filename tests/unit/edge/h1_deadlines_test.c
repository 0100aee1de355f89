/* How slowly a client may go on: a body that trickles and a response that is hardly taken end, honest
 * slowness does not. Windows of 30 s, 240 bytes a second. */
#include "tests/unit/edge/h1_harness.h"

#include <poll.h>

enum { LENGTH = 1000000 };

static void begin_upload(void)
{
	visit();
	rig.config->min_rate = 240;
	say(&rig.client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n");
	origin_accepts();
}

static void upload_some(size_t size)
{
	char bytes[20000];

	memset(bytes, 'x', size);
	give(&rig.client, bytes, size);
	turns(3);
	look(&rig.origin);
	forget(&rig.origin);
}

static void a_body_that_trickles_ends_in_408(void **state)
{
	(void)state;
	begin_upload();
	for (int i = 0; i < 3; i++) {
		upload_some(1);
		time_passes(9000);
		assert_false(rig.is_closed);
	}
	upload_some(1);
	time_passes(9000);
	upload_some(1);
	time_passes(100);
	client_gets_page(408);
	expect_closed(&rig.origin, "the origin");
}

static void a_body_at_its_rate_goes_on(void **state)
{
	(void)state;
	begin_upload();
	for (int i = 0; i < 20; i++) {
		upload_some(3000);
		time_passes(10000);
		assert_false(rig.is_closed);
	}
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
}

/* What came fast at first is no credit for ever. */
static void a_fast_beginning_does_not_excuse_what_follows(void **state)
{
	(void)state;
	begin_upload();
	for (int i = 0; i < 5; i++)
		upload_some(20000);
	for (int i = 0; i < 8 && rig.client.size == 0; i++) {
		time_passes(20000);
		upload_some(1);
		look(&rig.client);
	}
	client_gets_page(408);
}

static void without_a_rate_any_progress_will_do(void **state)
{
	(void)state;
	begin_upload();
	rig.config->min_rate = 0;
	for (int i = 0; i < 20; i++) {
		upload_some(1);
		time_passes(20000);
		assert_false(rig.is_closed);
	}
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
}

/* ---- the other way */

static void begin_download(void)
{
	char bytes[LENGTH / 10];

	visit_with(true, 4096);
	rig.config->min_rate = 240;
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	memset(bytes, 'x', sizeof bytes);
	give(&rig.origin, bytes, sizeof bytes);
	turns(10);
}

/* The kernel moves bytes in its own time: the test's clock stands still meanwhile. */
static void take(size_t size)
{
	char bytes[4096];

	while (size > 0) {
		struct pollfd readable = {.fd = rig.client.fd, .events = POLLIN};
		size_t room = size < sizeof bytes ? size : sizeof bytes;

		if (poll(&readable, 1, 1000) != 1)
			fail_msg("nothing came, with %zu bytes to take", size);
		ssize_t got = recv(rig.client.fd, bytes, room, 0);
		assert_true(got > 0);
		size -= (size_t)got;
		turns(2);
	}
}

static void a_response_that_nobody_takes_is_cut(void **state)
{
	(void)state;
	begin_download();
	time_passes(29000);
	assert_false(rig.is_closed);
	time_passes(32000);
	time_passes(100);
	assert_true(rig.is_closed);
	expect_closed(&rig.origin, "the origin");
}

static void a_response_that_is_hardly_taken_is_cut(void **state)
{
	(void)state;
	begin_download();
	for (int i = 0; i < 20 && !rig.is_closed; i++) {
		take(100);
		time_passes(10000);
	}
	assert_true(rig.is_closed);
}

/* In pieces as large as its own buffer: what it has not read of that, we cannot see it take. */
static void a_slow_reader_at_its_rate_goes_on(void **state)
{
	static char bytes[32000];

	(void)state;
	begin_download();
	for (int i = 0; i < 9; i++) {
		take(sizeof bytes);
		give(&rig.origin, bytes, sizeof bytes);
		time_passes(20000);
		assert_false(rig.is_closed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(a_body_that_trickles_ends_in_408),
	    rig_test(a_body_at_its_rate_goes_on),
	    rig_test(a_fast_beginning_does_not_excuse_what_follows),
	    rig_test(without_a_rate_any_progress_will_do),
	    rig_test(a_response_that_nobody_takes_is_cut),
	    rig_test(a_response_that_is_hardly_taken_is_cut),
	    rig_test(a_slow_reader_at_its_rate_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
