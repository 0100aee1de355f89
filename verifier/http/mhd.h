/*
 * An HTTP server on libmicrohttpd as the verifier needs it: whole requests in, whole answers out.
 *
 * Limits: bodies of 64 KiB (413 above), `connections` at once, and a deadline for every stage of a connection
 * (30 s until a request is complete, 30 s until its answer has been taken), however slowly the peer trickles.
 * A streamed body or answer has 30 s for each piece, and 15 minutes for all. In a crowd each has 3 s
 * (mhd_deadline.h).
 */
#ifndef VERIFIER_HTTP_MHD_H
#define VERIFIER_HTTP_MHD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/result.h"
#include "common/net/net.h"

enum {
	MHD_BODY_MAX = 64 * 1024,
	MHD_STAGE_MS = 30 * 1000,
	MHD_STREAM_MS = 15 * 60 * 1000,
	MHD_REPLY_HEADERS = 8,
	MHD_REPLY_VALUE = 768
};

/* Borrowed from the server while the handler runs. */
struct mhd_request {
	struct MHD_Connection *connection;
	const char *method;
	const char *path;   /* decoded */
	const char *target; /* with the query, as it came */
	struct buf body;
	bool too_large;   /* the body was cut off */
	void *waited_for; /* see mhd_request_suspend; NULL the first time */
};

const char *mhd_request_header(const struct mhd_request *request, const char *name);
const char *mhd_request_query(const struct mhd_request *request, const char *name);
/* The first parameter that is not among `known` (ends with NULL), has no value or comes twice; NULL: none. */
const char *mhd_request_stray_query(const struct mhd_request *request, const char *const *known);
const char *mhd_request_cookie(const struct mhd_request *request, const char *name);
/* The peer's address, without its port. */
void mhd_request_remote(const struct mhd_request *request, char text[NET_ADDRESS_TEXT]);
bool mhd_request_is(const struct mhd_request *request, const char *method, const char *path);

struct mhd_reply;

/* What takes a body as it comes, and makes an answer as it goes. */
struct mhd_stream {
	/* The next bytes of the body. */
	void (*take)(struct mhd_stream *stream, const char *bytes, size_t size);
	/* The body is complete: sets a whole reply, or a status and type with `streamed`. */
	void (*finish)(struct mhd_stream *stream, struct mhd_reply *reply);
	/* The next bytes of the answer. 0: that was all. Below 0: it cannot go on, the connection is cut. */
	ssize_t (*read)(struct mhd_stream *stream, char *bytes, size_t size);
	/* Frees it; also when the peer went away. */
	void (*close)(struct mhd_stream *stream);
};

struct mhd_reply {
	unsigned status;
	const char *type; /* NULL: no Content-Type */
	char *body;       /* freed by the server unless `borrowed`; NULL: empty */
	size_t size;
	bool borrowed;
	bool streamed; /* by the request's mhd_stream */
	struct {
		const char *name;
		char value[MHD_REPLY_VALUE];
	} headers[MHD_REPLY_HEADERS];
	size_t header_count;
};

/* A value that does not fit, or one header too many, is a bug and ends the process. */
void mhd_reply_header(struct mhd_reply *reply, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text that lives as long as the program. */
void mhd_reply_text(struct mhd_reply *reply, unsigned status, const char *text);

/* For a handler that cannot answer yet, without a thread of its own: it returns without a reply, and is
 * called once more, with `waited_for` set, when mhd_resume has been called; from any thread, once, at any
 * time after this. Whoever suspends sees to it that it is resumed. */
void mhd_request_suspend(const struct mhd_request *request, void *waited_for);
void mhd_resume(struct MHD_Connection *connection);

struct mhd_options {
	int fd;                     /* listening; taken */
	bool thread_per_connection; /* else one thread serves all */
	unsigned connections;
	const char *certificate, *key; /* PEM; both or none */
	const char *client_ca; /* PEM, with a certificate: clients must show one that it vouches for */
	void (*handle)(void *arg, const struct mhd_request *request, struct mhd_reply *reply);
	/* May be NULL. When a request's head is there: R_OK, the body goes to *stream; R_NONE, it is gathered
	 * and `handle` answers; else the reply is sent and no body taken. */
	enum result (*open)(void *arg, const struct mhd_request *request, struct mhd_reply *reply,
	    struct mhd_stream **stream);
	/* Where requests are suspended: frees what one waited for, when it is over. Not with a thread per
	 * connection. */
	void (*drop)(void *arg, void *waited_for);
	void *arg;
};

struct mhd_server;

/* Binds a setting's address and logs what it became: port 0 takes a free one. */
enum result mhd_bind(int *fd, const char *setting, const char *address, struct error *error);
enum result mhd_server_start(struct mhd_server **out, const struct mhd_options *options, struct error *error);
/* Takes no more connections, lets requests in flight finish for up to 8 s, then stops. */
void mhd_server_stop(struct mhd_server *server);

#endif
