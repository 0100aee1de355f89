#include "edge/admission.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/tally.h"
#include "edge/edge_metrics.h"
#include "edge/tls/tls_alert.h"

enum { UNREAD_MAX = 16 * 1024 };

int64_t admission_memory(const struct edge *edge)
{
	int64_t connections = atomic_load_explicit(&edge->connections, memory_order_relaxed);

	return tally_sum(TALLY_BUFFER_BYTES) + connections * ADMISSION_CONNECTION_BYTES;
}

bool admission_is_short_of_memory(struct worker *worker)
{
	int64_t now = loop_now(worker->loop);

	if (now - worker->memory_at_ms >= ADMISSION_LOOK_MS) {
		worker->memory_at_ms = now;
		worker->memory_in_use = admission_memory(worker->edge);
	}
	return worker->memory_in_use > worker->config->limits.max_memory;
}

const char *admission_take(struct worker *worker)
{
	atomic_int_fast64_t *connections = &worker->edge->connections;

	if (admission_is_short_of_memory(worker))
		return "max_memory";
	if (atomic_fetch_add_explicit(connections, 1, memory_order_relaxed) <
	    worker->config->limits.max_connections)
		return NULL;
	atomic_fetch_sub_explicit(connections, 1, memory_order_relaxed);
	return "max_connections";
}

void admission_give(struct worker *worker)
{
	atomic_fetch_sub_explicit(&worker->edge->connections, 1, memory_order_relaxed);
}

static ssize_t send_refusal(int fd, bool tls)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
				     "Content-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
	unsigned char alert[TLS_ALERT_RECORD_SIZE];

	tls_alert_record(alert, TLS_ALERT_INTERNAL_ERROR);
	return tls ? send(fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT)
		   : send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What has come already is read, since closing with unread bytes sends a reset that may overtake the answer.
 */
void admission_turn_away(struct worker *worker, int fd, bool tls, const char *cause)
{
	size_t left = UNREAD_MAX;
	ssize_t got = 1;

	cause_counter_add(&worker->metrics->refused, cause);
	if (send_refusal(fd, tls) < 0)
		cause_counter_add(&worker->metrics->refused, "unsent_alert");
	shutdown(fd, SHUT_WR);
	while (left > 0 && got > 0) {
		got = recv(fd, worker->scratch, left, MSG_DONTWAIT);
		left -= got > 0 ? (size_t)got : 0;
	}
	close(fd);
}
