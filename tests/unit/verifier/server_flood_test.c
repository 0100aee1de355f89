/* A name server that floods who asks it with packets that are no answers. */
#include "verifier/diagnose/server_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/support/fake_dns.h"

enum { PATIENCE_MS = 20000, NOISE = 16000 };

static atomic_bool stop;
static int server_fd;
static unsigned char noise[NOISE];

/* With the question's id, but about another name; and much to read. */
static void make_noise(const unsigned char *query)
{
	static const unsigned char head[] = {0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0, 16, 0, 1};
	static const unsigned char record[] = {0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 1, 'x'};
	unsigned count = (NOISE - sizeof head) / sizeof record;
	memcpy(noise, head, sizeof head);
	memcpy(noise, query, 2);
	noise[6] = (unsigned char)(count >> 8);
	noise[7] = (unsigned char)count;
	for (unsigned i = 0; i < count; i++)
		memcpy(noise + sizeof head + i * sizeof record, record, sizeof record);
}

static void *flood(void *arg)
{
	unsigned char query[512];
	struct sockaddr_in asker;
	socklen_t size = sizeof asker;
	(void)arg;
	if (recvfrom(server_fd, query, sizeof query, 0, (struct sockaddr *)&asker, &size) < 2)
		abort();
	make_noise(query);
	while (!stop)
		sendto(server_fd, noise, NOISE, 0, (struct sockaddr *)&asker, size);
	return NULL;
}

static void a_flood_is_soon_given_up(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	struct ask_server server = {.may_be_own = true};
	struct ask_result result;
	pthread_t thread;
	(void)state;
	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server_fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(server_fd, (struct sockaddr *)&address, &size), 0);
	assert_true(net_read_host(&server.address, "127.0.0.1", ntohs(address.sin_port)));
	pthread_create(&thread, NULL, flood, NULL);
	const struct dns_question question = {.name = "shop.test", .type = RESOLVER_TXT};
	int64_t began = clock_monotonic_ms();
	server_ask(&server, 1, &question, 1, PATIENCE_MS, &result);
	assert_true(clock_monotonic_ms() - began < PATIENCE_MS);
	stop = true;
	pthread_join(thread, NULL);
	close(server_fd);
	assert_int_equal(result.outcome, ASK_GARBLED);
	dns_reply_fini(&result.reply);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_flood_is_soon_given_up)};
	return cmocka_run_group_tests_name("server_flood", tests, NULL, NULL);
}
