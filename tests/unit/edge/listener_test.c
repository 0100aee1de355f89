#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "edge/conn/conn.h"
#include "edge/conn/listener.h"
#include "edge/edge_metrics.h"
#include "edge/tls/tls_alert.h"
#include "tests/support/edge_loop.h"

/* What is accepted is counted and closed. */
static struct {
	int count, last_fd_nodelay;
	bool tls;
} accepted;

void conn_accept(struct worker *worker, int fd, const struct net_address *client, struct listen_point point)
{
	socklen_t size = sizeof accepted.last_fd_nodelay;

	(void)worker, (void)client;
	accepted.count++;
	accepted.tls = point.kind == LISTEN_HTTPS;
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &accepted.last_fd_nodelay, &size);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

static int setup(void **state)
{
	struct worker *worker = mem_alloc(sizeof *worker);

	fake_clock_begin();
	memset(&accepted, 0, sizeof accepted);
	worker->loop = loop_new();
	worker->metrics = edge_metrics_new();
	worker->scratch = mem_alloc(WORKER_SCRATCH);
	*state = worker;
	return 0;
}

static int teardown(void **state)
{
	struct worker *worker = *state;

	edge_metrics_free(worker->metrics);
	loop_free(worker->loop);
	free(worker->scratch);
	free(worker);
	clock_replace(NULL, NULL);
	return 0;
}

static int dial(const struct net_address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address->storage, address->size), 0);
	return fd;
}

static struct listener *listen_alone(struct worker *worker, struct net_address *local)
{
	int fd = -1;
	struct error error = {""};

	if (listener_bind("127.0.0.1:0", &fd, 1, local, &error) != R_OK)
		fail_msg("%s", error.text);
	struct listener *listener = listener_new(worker, fd, (struct listen_point){.kind = LISTEN_HTTPS});
	assert_int_equal(listener_start(listener), R_OK);
	return listener;
}

static void workers_share_the_port_of_the_first(void **state)
{
	struct net_address local, other;
	int fds[3];

	(void)state;
	assert_int_equal(listener_bind("127.0.0.1:0", fds, 3, &local, NULL), R_OK);
	const struct sockaddr_in *first = (const struct sockaddr_in *)&local.storage;
	assert_int_not_equal(first->sin_port, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(net_local_address(fds[i], &other, NULL), R_OK);
		assert_int_equal(((const struct sockaddr_in *)&other.storage)->sin_port, first->sin_port);
		close(fds[i]);
	}
}

static void address_that_cannot_be_bound_is_an_error(void **state)
{
	struct error error = {""};
	struct net_address local;
	int fds[2] = {-1, -1};

	(void)state;
	assert_int_not_equal(listener_bind("192.0.2.1:0", fds, 2, &local, &error), R_OK);
	assert_true(strlen(error.text) > 0);
}

static void connection_is_handed_over_with_its_options(void **state)
{
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int client = dial(&local);

	loop_round(worker->loop);
	assert_int_equal(accepted.count, 1);
	assert_true(accepted.tls);
	assert_int_equal(accepted.last_fd_nodelay, 1);
	close(client);
	listener_free(listener);
}

static void a_round_accepts_a_bounded_batch(void **state)
{
	enum { COUNT = LISTENER_BATCH + 5 };
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int clients[COUNT];

	for (int i = 0; i < COUNT; i++)
		clients[i] = dial(&local);
	loop_round(worker->loop);
	assert_int_equal(accepted.count, LISTENER_BATCH);
	loop_round(worker->loop);
	assert_int_equal(accepted.count, COUNT);
	for (int i = 0; i < COUNT; i++)
		close(clients[i]);
	listener_free(listener);
}

static void all_that_is_queued_is_accepted_before_the_end(void **state)
{
	enum { COUNT = 3 * LISTENER_BATCH };
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int clients[COUNT];

	for (int i = 0; i < COUNT; i++)
		clients[i] = dial(&local);
	assert_int_equal(listener_queued(listener), COUNT);
	assert_int_equal(listener_accept_queued(listener), COUNT);
	assert_int_equal(listener_queued(listener), 0);
	listener_close(listener);
	assert_int_equal(accepted.count, COUNT);
	for (int i = 0; i < COUNT; i++)
		close(clients[i]);
	listener_free(listener);
}

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void assert_turned_away(int client)
{
	unsigned char bytes[16];

	assert_int_equal(recv(client, bytes, sizeof bytes, 0), TLS_ALERT_RECORD_SIZE);
	assert_int_equal(bytes[0], 0x15);
	assert_int_equal(recv(client, bytes, sizeof bytes, 0), 0);
}

/* Not left in the queue until they give up. */
static void out_of_descriptors_who_comes_is_told(void **state)
{
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int clients[] = {dial(&local), dial(&local), dial(&local)};
	struct rlimit before;

	getrlimit(RLIMIT_NOFILE, &before);
	limit_descriptors((rlim_t)clients[2] + 1);
	loop_round(worker->loop);
	for (int i = 0; i < 3; i++)
		assert_turned_away(clients[i]);
	assert_int_equal(accepted.count, 0);
	limit_descriptors(before.rlim_cur);
	int later = dial(&local);
	loop_round(worker->loop);
	assert_int_equal(accepted.count, 1);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(later);
	listener_free(listener);
}

/* Not even the reserve can be had: a pause, no spinning, and then it goes on. */
static void without_its_reserve_it_pauses(void **state)
{
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int64_t pauses = metric_get(worker->metrics->accept_pauses);
	int client = dial(&local);
	struct rlimit before;

	getrlimit(RLIMIT_NOFILE, &before);
	limit_descriptors(3);
	for (int i = 0; i < 5; i++)
		loop_round(worker->loop);
	assert_int_equal(metric_get(worker->metrics->accept_pauses), pauses + 1);
	loop_pass(worker->loop, LISTENER_PAUSE_MS);
	loop_round(worker->loop);
	assert_int_equal(metric_get(worker->metrics->accept_pauses), pauses + 2);
	limit_descriptors(before.rlim_cur);
	loop_pass(worker->loop, LISTENER_PAUSE_MS);
	loop_round(worker->loop);
	assert_int_equal(accepted.count, 1);
	close(client);
	listener_free(listener);
}

static void what_cannot_be_accepted_is_left_to_be_counted(void **state)
{
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int clients[2] = {dial(&local), dial(&local)};
	struct rlimit before;

	getrlimit(RLIMIT_NOFILE, &before);
	limit_descriptors(3);
	assert_int_equal(listener_accept_queued(listener), 0);
	assert_int_equal(listener_queued(listener), 2);
	limit_descriptors(before.rlim_cur);
	close(clients[0]);
	close(clients[1]);
	listener_free(listener);
}

/* What is queued stays; who asks only now is not heard, which is no reset either. */
static void a_drain_lets_no_new_connection_begin(void **state)
{
	struct worker *worker = *state;
	struct net_address local;
	struct listener *listener = listen_alone(worker, &local);
	int queued = dial(&local);
	int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	listener_stop_new(listener);
	assert_int_equal(connect(late, (const struct sockaddr *)&local.storage, local.size), -1);
	assert_int_equal(errno, EINPROGRESS);
	loop_round(worker->loop);
	listener_accept_queued(listener);
	assert_int_equal(accepted.count, 1);
	listener_close(listener);
	int failure = 0;
	socklen_t size = sizeof failure;
	assert_int_equal(getsockopt(late, SOL_SOCKET, SO_ERROR, &failure, &size), 0);
	assert_int_equal(failure, 0);
	close(queued);
	close(late);
	listener_free(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(workers_share_the_port_of_the_first),
	    TEST(address_that_cannot_be_bound_is_an_error),
	    TEST(connection_is_handed_over_with_its_options),
	    TEST(a_round_accepts_a_bounded_batch),
	    TEST(all_that_is_queued_is_accepted_before_the_end),
	    TEST(out_of_descriptors_who_comes_is_told),
	    TEST(without_its_reserve_it_pauses),
	    TEST(what_cannot_be_accepted_is_left_to_be_counted),
	    TEST(a_drain_lets_no_new_connection_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
