/*
 * A client that says whatever it likes in HTTP/2, and an app that answers in HTTP/1.1, to an edge between
 * them. What reaches the app can be read as requests; the edge ends with no stream, no upstream connection
 * and no memory left, whatever was said.
 *
 * An input is a list of steps: who does what (client says frames, client says bytes, app answers, app says,
 * client ends, time passes), two bytes of size, and what is said. The preface and an empty SETTINGS come
 * first, unless the first byte of the input says otherwise.
 */
#include <signal.h>

#include "edge/front/h2_conn.h"
#include "edge/http/h1_body.h"
#include "edge/http/h1_parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/edge/h1_harness.h"

enum { STEPS_MAX = 24, ORIGINS_MAX = 16, ROUNDS = 4, PASSES_MS = 700 };
enum step { CLIENT_SAYS, ORIGIN_ANSWERS, ORIGIN_SAYS, CLIENT_ENDS, ORIGIN_ENDS, TIME_PASSES, STEPS };

static struct seen origins[ORIGINS_MAX];
static size_t origin_count;

static void run_stop(struct loop_task *task)
{
	(void)task;
	loop_stop(rig.loop);
}

static void accept_origins(void)
{
	int fd = -1;

	while (origin_count < ORIGINS_MAX &&
	       (fd = accept4(rig.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		origins[origin_count] = (struct seen){.fd = -1};
		seen_reset(&origins[origin_count++], fd);
	}
}

static void rounds(int count)
{
	static struct loop_task task = {.run = run_stop};

	for (int i = 0; i < count; i++) {
		loop_defer(rig.loop, &task);
		loop_run(rig.loop);
		accept_origins();
		look(&rig.client);
		for (size_t j = 0; j < origin_count; j++)
			look(&origins[j]);
	}
}

static void say_some(struct seen *side, const void *bytes, size_t size)
{
	if (side->fd >= 0 && !side->reset)
		fuzz_check(send(side->fd, bytes, size, MSG_NOSIGNAL) != 0 || size == 0);
}

static void play(enum step step, const uint8_t *bytes, size_t size)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

	switch (step) {
	case CLIENT_SAYS: say_some(&rig.client, bytes, size); break;
	case ORIGIN_ANSWERS:
		for (size_t i = 0; i < origin_count; i++)
			say_some(&origins[i], answer, sizeof answer - 1);
		break;
	case ORIGIN_SAYS:
		if (origin_count > 0)
			say_some(&origins[origin_count - 1], bytes, size);
		break;
	case CLIENT_ENDS: shutdown(rig.client.fd, SHUT_WR); break;
	case ORIGIN_ENDS:
		if (origin_count > 0)
			shutdown(origins[origin_count - 1].fd, SHUT_RDWR);
		break;
	case TIME_PASSES: skew_us += PASSES_MS * 1000; break;
	case STEPS: break;
	}
	rounds(ROUNDS);
}

/* What came to the app is requests, one after the other, the last perhaps cut. */
static void check_origin(const struct seen *origin)
{
	static struct http_head head;
	const char *at = origin->bytes;
	const char *end = at + origin->size;

	while (at < end) {
		struct h1_scan scan = {0};
		struct h1_body body;
		size_t used = 0;
		int status = 0;
		enum result result = h1_parse_request(&head, &scan, at, (size_t)(end - at), &used, &status);

		fuzz_check(result != R_INVALID);
		if (result != R_OK)
			return;
		at += used;
		h1_body_init(&body, &head);
		for (result = R_OK; result == R_OK;) {
			size_t framing = 0;
			size_t data = 0;

			result = h1_body_next(&body, at, (size_t)(end - at), &framing, &data);
			at += framing + data;
			if (data > 0)
				h1_body_take(&body, data);
		}
		fuzz_check(result != R_INVALID);
		if (result != R_EOF)
			return;
	}
}

static void begin(void)
{
	static bool is_set_up;
	sigset_t alarm;

	if (!is_set_up)
		harness_setup(NULL);
	is_set_up = true;
	rig.shows_own = true;
	rig.new_conn = h2_conn_new;
	origin_count = 0;
	/* libFuzzer's clock would interrupt a connect. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	visit();
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

/* By resets: thousands of conversations a minute would use up the ports otherwise. */
static void end(void)
{
	reset_connection(&rig.client);
	for (size_t i = 0; i < origin_count; i++)
		reset_connection(&origins[i]);
	rounds(2);
	if (rig.conn)
		http_conn_abort(rig.conn);
	rounds(2);
	fuzz_check(!rig.conn);
	for (size_t i = 0; i < origin_count; i++) {
		seen_reset(&origins[i], -1);
		free(origins[i].bytes);
	}
	rounds(2);
	fuzz_check(harness_idle_upstreams() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

	begin();
	if (size > 0 && data[0] != 'X')
		say_some(&rig.client, preface, sizeof preface - 1);
	for (size_t at = 0, steps = 0; at + 3 <= size && steps < STEPS_MAX && rig.conn; steps++) {
		size_t length = (size_t)data[at + 1] << 8 | data[at + 2];
		enum step step = (enum step)(data[at] % STEPS);

		at += 3;
		length = length < size - at ? length : size - at;
		play(step, data + at, length);
		at += length;
	}
	for (size_t i = 0; i < origin_count; i++)
		check_origin(&origins[i]);
	end();
	return 0;
}
