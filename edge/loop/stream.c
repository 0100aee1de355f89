#include "edge/loop/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/loop/tls_bio.h"

/* A record of 16 KiB, and what came with it. */
enum {
	READS_AT_ONCE = 2,
	RECORD_SMALL = 3 * 1448 - 22, /* with header, type and tag three segments */
	RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
	LONG_INPUT = 2 * (SSL3_RT_MAX_PLAIN_LENGTH + 256),
	RECORD_SMALL_UNTIL = 32 * 1024,
	RECORD_IDLE_MS = 1000,
	PROBE_AFTER_S = 60, /* below the 350 s after which AWS' balancers forget a silent connection */
	PROBE_EVERY_S = 15,
	PROBES_UNANSWERED = 4,
};

void stream_init(struct stream *stream, struct loop *loop, int fd, SSL *ssl)
{
	*stream = (struct stream){.loop = loop, .io = {.fd = fd}, .ssl = ssl};
}

static bool may_send_close_notify(const struct stream *stream)
{
	return stream->ssl && !stream->failed && SSL_is_init_finished(stream->ssl) &&
	       !(SSL_get_shutdown(stream->ssl) & SSL_SENT_SHUTDOWN);
}

void stream_expect_more(struct stream *stream, bool more)
{
	stream->more = more;
	stream->held = stream->held || more;
	if (stream->ssl)
		tls_bio_expect_more(SSL_get_wbio(stream->ssl), more);
}

void stream_release(struct stream *stream)
{
	int one = 1;

	/* Setting it sends what waits, whatever it was before. */
	if (stream->held && !stream->failed)
		setsockopt(stream->io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	stream->held = false;
}

void stream_probe(const struct loop_io *io)
{
	int fd = io->fd;
	int one = 1;
	int after = PROBE_AFTER_S;
	int every = PROBE_EVERY_S;
	int unanswered = PROBES_UNANSWERED;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &unanswered, sizeof unanswered);
}

void stream_expect_long_input(struct stream *stream)
{
	if (stream->ssl)
		SSL_set_default_read_buffer_len(stream->ssl, LONG_INPUT);
}

void stream_allow_bare_end(struct stream *stream)
{
	if (stream->ssl)
		SSL_set_options(stream->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/* Best effort: where the socket takes no bytes the peer sees a truncation, which is the truth. The FIN, which
 * is next, takes it along. */
static void send_close_notify(struct stream *stream)
{
	if (!may_send_close_notify(stream))
		return;
	stream_expect_more(stream, true);
	tls_forget_errors();
	SSL_shutdown(stream->ssl);
	tls_forget_errors();
}

void stream_fini(struct stream *stream)
{
	if (stream->io.fd < 0)
		return;
	send_close_notify(stream);
	/* A close that finds unread bytes throws away what has not been sent; this does not. */
	if (stream->held && !stream->failed)
		shutdown(stream->io.fd, SHUT_WR);
	loop_close(stream->loop, &stream->io);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
}

static enum result plain_result(struct stream *stream)
{
	if (errno == EAGAIN || errno == EINTR)
		return R_AGAIN;
	stream->failed = true;
	return R_ERROR;
}

static enum result plain_read(struct stream *stream, char *bytes, size_t size, size_t *got)
{
	ssize_t count = recv(stream->io.fd, bytes, size, 0);

	if (count < 0)
		return plain_result(stream);
	*got = (size_t)count;
	return count > 0 ? R_OK : R_EOF;
}

static enum result plain_write(struct stream *stream, const char *bytes, size_t size, size_t *put)
{
	ssize_t count = send(stream->io.fd, bytes, size, MSG_NOSIGNAL | (stream->more ? MSG_MORE : 0));

	if (count < 0)
		return plain_result(stream);
	*put = (size_t)count;
	stream->held = stream->more;
	return R_OK;
}

/* `*wants_other` tells that the operation waits for the opposite direction of the socket. */
static enum result tls_result(struct stream *stream, int error, int other, bool *wants_other)
{
	*wants_other = error == other;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return R_AGAIN;
	if (error == SSL_ERROR_ZERO_RETURN)
		return R_EOF;
	/* Also an end without close_notify, where that is not allowed: an attacker could have cut the stream
	 * short. */
	stream->failed = true;
	tls_forget_errors();
	return R_ERROR;
}

static enum result tls_read(struct stream *stream, char *bytes, size_t size, size_t *got)
{
	tls_forget_errors();
	stream->read_wants_write = false;
	tls_bio_limit_reads(SSL_get_rbio(stream->ssl), READS_AT_ONCE);
	if (SSL_read_ex(stream->ssl, bytes, size, got))
		return R_OK;
	return tls_result(
	    stream, SSL_get_error(stream->ssl, 0), SSL_ERROR_WANT_WRITE, &stream->read_wants_write);
}

/* A record is of use once all of it has come: what begins or begins anew goes in records of three TCP
 * segments, so that a browser has the first lines of a page before the window has opened. Then they are as
 * large as they can be. What was blocked is offered again, and OpenSSL wants no less of it. */
static size_t record_size(struct stream *stream, size_t size)
{
	int64_t now = loop_now(stream->loop);

	if (now - stream->wrote_ms > RECORD_IDLE_MS && !stream->write_blocked)
		stream->burst_start = stream->bytes_out;
	stream->wrote_ms = now;
	if (stream->write_blocked || stream->bytes_out - stream->burst_start >= RECORD_SMALL_UNTIL)
		return size;
	return size < RECORD_SMALL ? size : RECORD_SMALL;
}

/* A record goes out on its own, but not each in segments of its own. Two full ones share them: more would
 * leave the peer idle, and to wake it costs as much as to send. */
static bool may_wait(const struct stream *stream, size_t record)
{
	return record < RECORD || stream->bytes_out / RECORD % 2 == 0;
}

static enum result tls_write(struct stream *stream, const char *bytes, size_t size, size_t *put)
{
	tls_forget_errors();
	stream->write_wants_read = false;
	size_t some = record_size(stream, size);
	size_t record = some < RECORD ? some : RECORD;
	bool waits = (stream->more || size > record) && may_wait(stream, record);
	tls_bio_expect_more(SSL_get_wbio(stream->ssl), waits);
	bool done = SSL_write_ex(stream->ssl, bytes, some, put);
	if (done) {
		stream->held = waits;
		return R_OK;
	}
	enum result result =
	    tls_result(stream, SSL_get_error(stream->ssl, 0), SSL_ERROR_WANT_READ, &stream->write_wants_read);
	return result == R_EOF ? R_ERROR : result;
}

enum result stream_read(struct stream *stream, char *bytes, size_t size, size_t *got)
{
	assert(size > 0);
	if (stream->failed)
		return R_ERROR;
	enum result result =
	    stream->ssl ? tls_read(stream, bytes, size, got) : plain_read(stream, bytes, size, got);
	stream->read_blocked = result != R_OK;
	if (result == R_OK)
		stream->bytes_in += *got;
	return result;
}

enum result stream_write(struct stream *stream, const char *bytes, size_t size, size_t *put)
{
	assert(size > 0);
	if (stream->failed)
		return R_ERROR;
	enum result result =
	    stream->ssl ? tls_write(stream, bytes, size, put) : plain_write(stream, bytes, size, put);
	stream->write_blocked = result != R_OK;
	if (result == R_OK)
		stream->bytes_out += *put;
	return result;
}

bool stream_has_buffered(const struct stream *stream)
{
	return stream->ssl && !stream->failed && !stream->read_blocked && SSL_has_pending(stream->ssl);
}

bool stream_has_chosen_http2(const struct stream *stream)
{
	const unsigned char *name = NULL;
	unsigned size = 0;

	if (stream->ssl)
		SSL_get0_alpn_selected(stream->ssl, &name, &size);
	return size == 2 && memcmp(name, "h2", 2) == 0;
}

void stream_shutdown(struct stream *stream)
{
	send_close_notify(stream);
	shutdown(stream->io.fd, SHUT_WR);
}

void stream_watch(struct stream *stream, bool want_read, bool want_write)
{
	uint32_t events = 0;

	if (want_read)
		events |= stream->read_wants_write ? EPOLLOUT : EPOLLIN;
	if (want_write)
		events |= stream->write_wants_read ? EPOLLIN : EPOLLOUT;
	/* Only a first registration can fail, for want of kernel memory; the owner's deadline then ends the
	 * wait. */
	if (loop_watch(stream->loop, &stream->io, events) != R_OK)
		stream->failed = true;
}
