#include "edge/upstream/upstream_probe.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "edge/upstream/proxy_protocol_write.h"
#include "edge/upstream/upstream_socket.h"

enum {
	HELLO_MAX = 4096,
	ANSWER = 6, /* a record's header, and which handshake message it begins with */
	CONTENT_ALERT = 21,
	CONTENT_HANDSHAKE = 22,
	SERVER_HELLO = 2,
};

struct upstream_probe {
	struct loop *loop;
	struct loop_io io;
	enum upstream_probe_kind kind;
	bool is_connected;
	struct buf out; /* what we say: fits the socket's buffer, which nothing is in yet */
	unsigned char answer[ANSWER];
	size_t answer_size;
	void (*on_done)(void *arg, bool is_well);
	void *arg;
};

/* What OpenSSL would say first, taken from it without any socket. It reads from a BIO of its own that stays
 * empty: from the one that it writes to it would hear itself. */
static bool write_hello(struct buf *out, SSL_CTX *ctx, const char *name)
{
	SSL *ssl = SSL_new(ctx);
	BIO *heard = BIO_new(BIO_s_mem());
	BIO *said = BIO_new(BIO_s_mem());
	bool is_written = false;
	char *bytes = NULL;

	if (ssl && heard && said) {
		SSL_set_bio(ssl, heard, said);
		if (name[0])
			SSL_set_tlsext_host_name(ssl, name);
		SSL_connect(ssl);
		long size = BIO_get_mem_data(said, &bytes);
		is_written = size > 0 && buf_append(out, bytes, (size_t)size) == R_OK;
	} else {
		BIO_free(heard);
		BIO_free(said);
	}
	SSL_free(ssl);
	ERR_clear_error();
	return is_written;
}

static bool write_all(struct upstream_probe *probe, SSL_CTX *ctx, const struct upstream_probe_plan *plan)
{
	unsigned char header[PROXY_V2_MAX];

	if (plan->proxy_v2)
		buf_append(&probe->out, header, proxy_v2_write(header, NULL, NULL));
	return plan->kind != UPSTREAM_PROBE_TLS || write_hello(&probe->out, ctx, plan->name);
}

static bool send_all(struct upstream_probe *probe)
{
	size_t size = buf_size(&probe->out);

	return size == 0 || send(probe->io.fd, buf_bytes(&probe->out), size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void on_connected(struct upstream_probe *probe)
{
	bool is_well = upstream_socket_failure(probe->io.fd) == UPSTREAM_FAILURE_COUNT && send_all(probe);

	if (!is_well || probe->kind == UPSTREAM_PROBE_TCP) {
		probe->on_done(probe->arg, is_well);
		return;
	}
	probe->is_connected = true;
	loop_watch(probe->loop, &probe->io, EPOLLIN);
}

static bool is_tls(const unsigned char answer[ANSWER])
{
	return answer[1] == 3 && (answer[0] == CONTENT_ALERT ||
				     (answer[0] == CONTENT_HANDSHAKE && answer[ANSWER - 1] == SERVER_HELLO));
}

static void on_answer(struct upstream_probe *probe)
{
	ssize_t got =
	    recv(probe->io.fd, probe->answer + probe->answer_size, ANSWER - probe->answer_size, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	probe->answer_size += got > 0 ? (size_t)got : 0;
	if (got <= 0 || probe->answer_size == ANSWER)
		probe->on_done(probe->arg, probe->answer_size == ANSWER && is_tls(probe->answer));
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct upstream_probe *probe = loop_owner(io, struct upstream_probe, io);

	(void)events;
	if (probe->is_connected)
		on_answer(probe);
	else
		on_connected(probe);
}

struct upstream_probe *upstream_probe_begin(struct loop *loop, SSL_CTX *ctx,
    const struct upstream_address *address, enum upstream_failure *failure,
    void (*on_done)(void *arg, bool is_well), void *arg)
{
	struct upstream_probe *probe = mem_alloc(sizeof *probe);

	probe->loop = loop;
	probe->kind = address->probe.kind;
	probe->on_done = on_done;
	probe->arg = arg;
	probe->io = (struct loop_io){.fd = -1, .on_ready = on_ready};
	buf_init(&probe->out, HELLO_MAX);
	*failure = UPSTREAM_LOCAL;
	if (write_all(probe, ctx, &address->probe))
		probe->io.fd = upstream_socket_open(&address->address, failure);
	if (probe->io.fd >= 0 && loop_watch(loop, &probe->io, EPOLLOUT) == R_OK)
		return probe;
	upstream_probe_end(probe);
	return NULL;
}

void upstream_probe_end(struct upstream_probe *probe)
{
	if (!probe)
		return;
	if (probe->io.fd >= 0)
		loop_close(probe->loop, &probe->io);
	buf_fini(&probe->out);
	free(probe);
}
