/* What counts as an answer of the ask endpoint, and what it can do to us when it is slow, chatty or gone. */
#include "edge/site/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "edge/site/ask_target.h"
#include "tests/support/ask_server.h"
#include "tests/support/certificate.h"

enum { DEADLINE_MS = 10000, SHORT_DEADLINE_MS = 200, PATIENCE_S = 20 };

struct fixture {
	struct ask_server *server;
	struct ask *ask;
	char url[128];
	pthread_mutex_t lock;
	pthread_cond_t told;
	int verdicts[ASK_UNKNOWN + 1];
	int count;
	enum ask_verdict last;
	char last_name[256];
};

static void on_verdict(void *arg, const char *name, enum ask_verdict verdict)
{
	struct fixture *fixture = arg;

	pthread_mutex_lock(&fixture->lock);
	fixture->verdicts[verdict]++;
	fixture->count++;
	fixture->last = verdict;
	snprintf(fixture->last_name, sizeof fixture->last_name, "%s", name);
	pthread_cond_signal(&fixture->told);
	pthread_mutex_unlock(&fixture->lock);
}

static void await_verdicts(struct fixture *fixture, int count)
{
	struct timespec until;
	int waited = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&fixture->lock);
	while (fixture->count < count && waited == 0)
		waited = pthread_cond_timedwait(&fixture->told, &fixture->lock, &until);
	int told = fixture->count;
	pthread_mutex_unlock(&fixture->lock);
	if (told < count)
		fail_msg("%d verdicts of %d within %d s", told, count, PATIENCE_S);
}

static void point_at(struct fixture *fixture, const char *url, const char *token)
{
	struct ask_target *target = NULL;
	struct error error = {{0}};

	if (ask_target_new(&target, &(struct ask_endpoint_config){.url = url, .token = token}, &error) !=
	    R_OK)
		fail_msg("%s", error.text);
	ask_set_target(fixture->ask, target);
	ask_target_unref(target);
}

static void start_ask(struct fixture *fixture, const char *path, const char *token, int deadline_ms)
{
	snprintf(fixture->url, sizeof fixture->url, "http://127.0.0.1:%d%s", fixture->server->port, path);
	const struct ask_config config = {
	    .deadline_ms = deadline_ms, .on_verdict = on_verdict, .arg = fixture};

	fixture->ask = ask_start(&config);
	point_at(fixture, fixture->url, token);
}

static enum ask_verdict ask_one(struct fixture *fixture, const char *name)
{
	int before = fixture->count;

	assert_int_equal(ask_submit(fixture->ask, name), R_OK);
	await_verdicts(fixture, before + 1);
	assert_string_equal(fixture->last_name, name);
	return fixture->last;
}

static int make_fixture(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	pthread_mutex_init(&fixture->lock, NULL);
	pthread_cond_init(&fixture->told, NULL);
	fixture->server = ask_server_start(200);
	*state = fixture;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *fixture = *state;

	ask_stop(fixture->ask);
	if (fixture->server)
		ask_server_stop(fixture->server);
	pthread_cond_destroy(&fixture->told);
	pthread_mutex_destroy(&fixture->lock);
	free(fixture);
	return 0;
}

static void each_status_means_what_it_says(void **state)
{
	static const struct {
		int status;
		enum ask_verdict verdict;
	} cases[] = {{200, ASK_ALLOWED}, {204, ASK_ALLOWED}, {299, ASK_ALLOWED}, {400, ASK_DENIED},
	    {403, ASK_DENIED}, {404, ASK_DENIED}, {410, ASK_DENIED}, {301, ASK_UNKNOWN}, {302, ASK_UNKNOWN},
	    {401, ASK_UNKNOWN}, {408, ASK_UNKNOWN}, {429, ASK_UNKNOWN}, {500, ASK_UNKNOWN},
	    {503, ASK_UNKNOWN}, {600, ASK_UNKNOWN}};
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask_server_say(fixture->server, cases[i].status, 0);
		if (ask_one(fixture, "shop.example.com") != cases[i].verdict)
			fail_msg("status %d gave verdict %d", cases[i].status, fixture->last);
	}
}

static void name_is_added_to_the_path(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/domains/verify", NULL, DEADLINE_MS);
	ask_one(fixture, "shop.example.com");
	assert_non_null(
	    strstr(fixture->server->last_head, "GET /domains/verify?domain=shop.example.com HTTP/1.1\r\n"));
	assert_null(strstr(fixture->server->last_head, "Authorization"));
}

static void query_already_there_is_kept_and_a_fragment_is_not(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask?key=a%26b&x=1#part", NULL, DEADLINE_MS);
	ask_one(fixture, "shop.example.com");
	assert_non_null(strstr(
	    fixture->server->last_head, "GET /ask?key=a%26b&x=1&domain=shop.example.com HTTP/1.1\r\n"));
}

static void url_without_a_path_gets_one(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "", NULL, DEADLINE_MS);
	ask_one(fixture, "shop.example.com");
	assert_non_null(strstr(fixture->server->last_head, "GET /?domain=shop.example.com HTTP/1.1\r\n"));
}

static void token_is_sent_as_a_bearer_token(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", "s3cret", DEADLINE_MS);
	ask_one(fixture, "shop.example.com");
	assert_non_null(strstr(fixture->server->last_head, "Authorization: Bearer s3cret\r\n"));
}

/* The error says what `words` says. */
static void refused(struct ask_endpoint_config config, const char *words)
{
	struct ask_target *target = NULL;
	struct error error = {{0}};

	config.url = "https://127.0.0.1:1/";
	assert_int_equal(ask_target_new(&target, &config, &error), R_INVALID);
	assert_null(target);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	assert_null(strstr(error.text, "s3cret"));
}

static void token_of_two_lines_is_refused(void **state)
{
	(void)state;
	refused((struct ask_endpoint_config){.token = "one\r\nX: s3cret"}, "ask-token");
}

static void missing_ca_file_is_named(void **state)
{
	(void)state;
	refused((struct ask_endpoint_config){.ca_file = "/nonexistent/ca.pem"}, "/nonexistent/ca.pem");
}

static void file_that_holds_no_ca_is_refused(void **state)
{
	(void)state;
	refused((struct ask_endpoint_config){.ca_file = "/dev/null"},
	    "ask-ca /dev/null: the file holds no certificate in PEM");
}

static void write_file(char path[80], const char *folder, const char *name, const char *text)
{
	snprintf(path, 80, "%s/%s", folder, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

/* Both for a name, in files that *cert_file and *key_file name from now on. */
static void make_pair(const char *folder, const char *name, char cert_file[80], char key_file[80])
{
	char pem[TEST_CHAIN_MAX], file_name[32];
	EVP_PKEY *key = NULL;
	BIO *out = BIO_new(BIO_s_mem());

	test_make_certificate(name, 0, 3600, &key, pem);
	snprintf(file_name, sizeof file_name, "%s.pem", name);
	write_file(cert_file, folder, file_name, pem);
	assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	int size = BIO_read(out, pem, TEST_CHAIN_MAX - 1);
	pem[size > 0 ? size : 0] = '\0';
	snprintf(file_name, sizeof file_name, "%s.key", name);
	write_file(key_file, folder, file_name, pem);
	BIO_free(out);
	EVP_PKEY_free(key);
}

static void client_certificate_is_checked_at_the_start(void **state)
{
	char folder[] = "/tmp/ask-test.XXXXXX", cert[80], key[80], other_cert[80], other_key[80];
	struct ask_target *target = NULL;
	struct error error = {{0}};
	(void)state;

	assert_non_null(mkdtemp(folder));
	make_pair(folder, "one", cert, key);
	make_pair(folder, "two", other_cert, other_key);
	refused((struct ask_endpoint_config){.client_cert_file = cert}, "ask-client-key-file is not set");
	refused((struct ask_endpoint_config){.client_key_file = key}, "ask-client-cert-file is not set");
	refused((struct ask_endpoint_config){.client_cert_file = key, .client_key_file = key},
	    "ask-client-cert-file: holds no certificate");
	refused((struct ask_endpoint_config){.client_cert_file = cert, .client_key_file = cert},
	    "ask-client-key-file: holds no private key");
	refused((struct ask_endpoint_config){.client_cert_file = cert, .client_key_file = other_key},
	    "ask-client-key-file: is not the key");
	refused((struct ask_endpoint_config){.client_cert_file = "/nonexistent/c", .client_key_file = key},
	    "/nonexistent/c");
	const struct ask_endpoint_config good = {
	    .url = "https://127.0.0.1:1/", .client_cert_file = cert, .client_key_file = key};
	assert_int_equal(ask_target_new(&target, &good, &error), R_OK);
	ask_target_unref(target);
	const char *const files[] = {cert, key, other_cert, other_key};
	for (size_t i = 0; i < 4; i++)
		unlink(files[i]);
	rmdir(folder);
}

static void plain_http_behind_https_is_no_answer(void **state)
{
	struct fixture *fixture = *state;

	snprintf(fixture->url, sizeof fixture->url, "https://127.0.0.1:%d/", fixture->server->port);
	const struct ask_config config = {
	    .deadline_ms = SHORT_DEADLINE_MS, .on_verdict = on_verdict, .arg = fixture};
	fixture->ask = ask_start(&config);
	point_at(fixture, fixture->url, NULL);
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
}

/* A reload: who was asked before goes on, whoever is asked next hears of the new token. */
static void another_target_takes_the_next_question(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", "old", DEADLINE_MS);
	ask_one(fixture, "shop.example.com");
	point_at(fixture, fixture->url, "new");
	ask_one(fixture, "shop.example.com");
	assert_non_null(strstr(fixture->server->last_head, "Authorization: Bearer new\r\n"));
}

static void without_a_target_there_is_no_answer(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	assert_true(ask_has_target(fixture->ask));
	ask_set_target(fixture->ask, NULL);
	assert_false(ask_has_target(fixture->ask));
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
}

static void refused_connection_is_no_answer(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	ask_server_stop(fixture->server);
	fixture->server = NULL;
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
}

static void connection_that_ends_early_is_no_answer(void **state)
{
	struct fixture *fixture = *state;

	ask_server_say(fixture->server, ASK_SERVER_CLOSE, 0);
	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
}

static void silence_ends_at_the_deadline(void **state)
{
	struct fixture *fixture = *state;

	ask_server_say(fixture->server, ASK_SERVER_NEVER, 0);
	start_ask(fixture, "/ask", NULL, SHORT_DEADLINE_MS);
	int64_t start = clock_monotonic_ms();
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
	assert_in_range(clock_monotonic_ms() - start, SHORT_DEADLINE_MS - 5, DEADLINE_MS - 1);
}

static void redirect_is_not_followed(void **state)
{
	struct fixture *fixture = *state;

	ask_server_say(fixture->server, 302, 0);
	start_ask(fixture, "/ask", "s3cret", DEADLINE_MS);
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_UNKNOWN);
	assert_int_equal(ask_server_asks(fixture->server), 1);
}

static void status_counts_where_the_body_is_cut(void **state)
{
	struct fixture *fixture = *state;

	ask_server_say(fixture->server, 403, 64 * 1024);
	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_DENIED);
	ask_server_say(fixture->server, 200, 0);
	assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_ALLOWED);
}

static void connection_is_used_again(void **state)
{
	struct fixture *fixture = *state;

	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_one(fixture, "shop.example.com"), ASK_ALLOWED);
	assert_int_equal(ask_server_connections(fixture->server), 1);
}

static void many_are_asked_at_once(void **state)
{
	struct fixture *fixture = *state;
	char name[64];

	ask_server_hold(fixture->server, true);
	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	for (int i = 0; i < ASK_PARALLEL + 50; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		assert_int_equal(ask_submit(fixture->ask, name), R_OK);
	}
	ask_server_await(fixture->server, ASK_PARALLEL);
	assert_int_equal(fixture->count, 0);
	ask_server_hold(fixture->server, false);
	await_verdicts(fixture, ASK_PARALLEL + 50);
	assert_int_equal(fixture->verdicts[ASK_ALLOWED], ASK_PARALLEL + 50);
	assert_true(ask_server_connections(fixture->server) <= ASK_PARALLEL);
}

static void full_queue_says_so_and_the_queued_end_at_their_deadline(void **state)
{
	struct fixture *fixture = *state;
	int taken = 0;

	ask_server_say(fixture->server, ASK_SERVER_NEVER, 0);
	start_ask(fixture, "/ask", NULL, 1000);
	while (ask_submit(fixture->ask, "shop.example.com") == R_OK)
		taken++;
	assert_in_range(taken, ASK_QUEUE, ASK_QUEUE + ASK_PARALLEL);
	await_verdicts(fixture, taken);
	assert_int_equal(fixture->verdicts[ASK_UNKNOWN], taken);
}

static void stop_leaves_what_is_under_way(void **state)
{
	struct fixture *fixture = *state;

	ask_server_say(fixture->server, ASK_SERVER_NEVER, 0);
	start_ask(fixture, "/ask", NULL, DEADLINE_MS);
	ask_submit(fixture->ask, "shop.example.com");
	ask_server_await(fixture->server, 1);
	int64_t start = clock_monotonic_ms();
	ask_stop(fixture->ask);
	fixture->ask = NULL;
	assert_in_range(clock_monotonic_ms() - start, 0, DEADLINE_MS / 2);
	assert_int_equal(fixture->count, 0);
}

#define with_server(test) cmocka_unit_test_setup_teardown(test, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    with_server(each_status_means_what_it_says),
	    with_server(name_is_added_to_the_path),
	    with_server(query_already_there_is_kept_and_a_fragment_is_not),
	    with_server(url_without_a_path_gets_one),
	    with_server(token_is_sent_as_a_bearer_token),
	    cmocka_unit_test(token_of_two_lines_is_refused),
	    cmocka_unit_test(missing_ca_file_is_named),
	    cmocka_unit_test(file_that_holds_no_ca_is_refused),
	    cmocka_unit_test(client_certificate_is_checked_at_the_start),
	    with_server(plain_http_behind_https_is_no_answer),
	    with_server(another_target_takes_the_next_question),
	    with_server(without_a_target_there_is_no_answer),
	    with_server(refused_connection_is_no_answer),
	    with_server(connection_that_ends_early_is_no_answer),
	    with_server(silence_ends_at_the_deadline),
	    with_server(redirect_is_not_followed),
	    with_server(status_counts_where_the_body_is_cut),
	    with_server(connection_is_used_again),
	    with_server(many_are_asked_at_once),
	    with_server(full_queue_says_so_and_the_queued_end_at_their_deadline),
	    with_server(stop_leaves_what_is_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
