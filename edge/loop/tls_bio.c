#include "edge/loop/tls_bio.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/mem.h"

struct tls_bio {
	int fd;
	void *owner;
	const char *prefix;
	size_t left;
	int at_end;
	int send_flags;
	bool limited;
	long reads_left; /* where limited */
};

/* There are none, nearly always, and to look costs a quarter of what it costs to clear the places for them.
 */
void tls_forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static size_t take_prefix(struct tls_bio *self, char *bytes, size_t size)
{
	size_t take = self->left < size ? self->left : size;

	memcpy(bytes, self->prefix, take);
	self->prefix += take;
	self->left -= take;
	return take;
}

static int bio_read(BIO *bio, char *bytes, size_t size, size_t *got)
{
	struct tls_bio *self = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (self->left > 0) {
		*got = take_prefix(self, bytes, size);
		return 1;
	}
	if (self->limited && self->reads_left-- <= 0) {
		self->reads_left = 0;
		BIO_set_retry_read(bio);
		return 0;
	}
	ssize_t count = recv(self->fd, bytes, size, 0);
	if (count > 0) {
		*got = (size_t)count;
		return 1;
	}
	self->at_end = count == 0;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return 0;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *put)
{
	struct tls_bio *self = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	ssize_t count = send(self->fd, bytes, size, self->send_flags);
	if (count >= 0) {
		*put = (size_t)count;
		return 1;
	}
	if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_write(bio);
	return 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct tls_bio *self = BIO_get_data(bio);

	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_EOF: return self->at_end;
	default: return 0;
	}
}

static int bio_destroy(BIO *bio)
{
	free(BIO_get_data(bio));
	return 1;
}

/* Lives as long as the process. */
static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern socket");
	if (!method)
		return;
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	BIO_meth_set_destroy(method, bio_destroy);
}

BIO *tls_bio_new(int fd, const void *prefix, size_t size)
{
	BIO *bio = NULL;

	pthread_once(&method_once, make_method);
	if (!method || !(bio = BIO_new(method)))
		return NULL;
	struct tls_bio *self = mem_alloc(sizeof *self);
	*self = (struct tls_bio){.fd = fd, .prefix = prefix, .left = size, .send_flags = MSG_NOSIGNAL};
	BIO_set_data(bio, self);
	BIO_set_init(bio, 1);
	return bio;
}

void tls_bio_set_owner(BIO *bio, void *owner)
{
	struct tls_bio *self = BIO_get_data(bio);

	self->owner = owner;
}

void *tls_bio_owner(BIO *bio)
{
	const struct tls_bio *self = BIO_get_data(bio);

	return self->owner;
}

void tls_bio_drop_prefix(BIO *bio)
{
	struct tls_bio *self = BIO_get_data(bio);

	self->prefix = NULL;
	self->left = 0;
}

void tls_bio_limit_reads(BIO *bio, int reads)
{
	struct tls_bio *self = BIO_get_data(bio);

	self->limited = true;
	self->reads_left = reads;
}

void tls_bio_expect_more(BIO *bio, bool more)
{
	struct tls_bio *self = BIO_get_data(bio);

	self->send_flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
}
