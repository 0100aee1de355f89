/*
 * An HTTP server on libmicrohttpd as the verifier needs it: whole requests in, whole answers out.
 *
 * Limits: bodies of 64 KiB (413 above), `connections` at once, and a deadline for every stage of a connection
 * (30 s until a request is complete, 30 s until its answer has been taken), however slowly the peer trickles.
 */
#ifndef VERIFIER_HTTP_MHD_H
#define VERIFIER_HTTP_MHD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/result.h"

enum { MHD_BODY_MAX = 64 * 1024, MHD_STAGE_MS = 30 * 1000, MHD_REPLY_HEADERS = 8, MHD_REPLY_VALUE = 512 };

/* Borrowed from the server while the handler runs. */
struct mhd_request {
	struct MHD_Connection *connection;
	const char *method;
	const char *path; /* decoded */
	struct buf body;
	bool too_large; /* the body was cut off */
};

const char *mhd_request_header(const struct mhd_request *request, const char *name);
const char *mhd_request_query(const struct mhd_request *request, const char *name);
/* The first parameter that is not among `known` (ends with NULL), has no value or comes twice; NULL: none. */
const char *mhd_request_stray_query(const struct mhd_request *request, const char *const *known);
const char *mhd_request_cookie(const struct mhd_request *request, const char *name);
bool mhd_request_is(const struct mhd_request *request, const char *method, const char *path);

struct mhd_reply {
	unsigned status;
	const char *type; /* NULL: no Content-Type */
	char *body;       /* freed by the server unless `borrowed`; NULL: empty */
	size_t size;
	bool borrowed;
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

struct mhd_options {
	int fd;                     /* listening; taken */
	bool thread_per_connection; /* else one thread serves all */
	unsigned connections;
	const char *certificate, *key; /* PEM; both or none */
	void (*handle)(void *arg, const struct mhd_request *request, struct mhd_reply *reply);
	void *arg;
};

struct mhd_server;

/* Binds a setting's address and logs what it became: port 0 takes a free one. */
enum result mhd_bind(int *fd, const char *setting, const char *address, struct error *error);
enum result mhd_server_start(struct mhd_server **out, const struct mhd_options *options, struct error *error);
/* Takes no more connections, lets requests in flight finish for up to 8 s, then stops. */
void mhd_server_stop(struct mhd_server *server);

#endif
