#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_check.h"

enum { PATIENCE_MS = 20 * 1000, INTERVAL_MS = 300 };

static struct upstreams *upstreams;
static struct upstream_checks *checks;

/* An origin that takes connections and never says a word. */
static int listen_silently(char url[64])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int door = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(door, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(door, 16), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&address, &size), 0);
	snprintf(url, 64, "http://127.0.0.1:%d", ntohs(address.sin_port));
	return door;
}

static int next_visitor(int door)
{
	struct pollfd knock = {.fd = door, .events = POLLIN};

	assert_int_equal(poll(&knock, 1, PATIENCE_MS), 1);
	return accept(door, NULL, NULL);
}

static struct upstream_config *config_of(const char *url, const char *path)
{
	struct upstream_config *config = mem_alloc(sizeof *config);

	atomic_init(&config->references, 1);
	config->connect_ms = config->first_byte_ms = config->idle_ms = PATIENCE_MS;
	config->resolve_ms = config->slow_start_ms = 1000;
	config->health_ms = INTERVAL_MS;
	config->health_path = path ? mem_string(path) : NULL;
	assert_int_equal(upstream_url_parse(&config->urls[0], url, NULL), R_OK);
	config->url_count = 1;
	return config;
}

static void configure(const char *url, const char *path)
{
	struct upstream_config *config = config_of(url, path);
	struct error error = {""};

	if (upstreams) {
		upstreams_configure(upstreams, config);
	} else {
		upstreams = upstreams_new(config);
		assert_int_equal(upstream_checks_start(&checks, upstreams, &error), R_OK);
	}
	upstream_config_unref(config);
}

static int teardown(void **state)
{
	(void)state;
	upstream_checks_free(checks);
	upstreams_free(upstreams);
	return 0;
}

static void wait_until_idle(struct upstream_address *address)
{
	const struct timespec pause = {.tv_nsec = 1000 * 1000};

	for (int ms = 0; ms < PATIENCE_MS && atomic_load(&address->outstanding) > 0; ms++)
		nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&address->outstanding), 0);
}

/* Nobody would take its word back. */
static void a_check_under_way_when_checks_end_says_nothing_any_more(void **state)
{
	char url[64];
	int door = listen_silently(url);
	unsigned version = 0;

	(void)state;
	configure(url, "/healthz");
	struct upstream_group *group = upstreams_group(upstreams, NULL);
	struct upstream_members *members = upstreams_members(upstreams, group, &version);
	struct upstream_address *address = members->addresses[0];

	int first = next_visitor(door);
	int second = next_visitor(door); /* so the first has failed, and one more makes the address down */
	assert_false(upstream_address_is_down(address));
	configure(url, NULL);
	wait_until_idle(address);
	assert_false(upstream_address_is_down(address));
	upstream_members_unref(members);
	upstreams_group_unref(upstreams, group);
	close(first);
	close(second);
	close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_check_under_way_when_checks_end_says_nothing_any_more, teardown),
	};

	return cmocka_run_group_tests_name("edge/upstream_check", tests, NULL, NULL);
}
