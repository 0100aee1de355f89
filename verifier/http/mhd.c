#include "verifier/http/mhd.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/net/net.h"
#include "verifier/http/mhd_client_certificate.h"
#include "verifier/http/mhd_deadline.h"

/* The DNS library reads its files through buffers of 64 KiB and more on the stack of whoever asks. */
enum { DRAIN_MS = 8000, DRAIN_STEP_MS = 20, SWALLOW_MAX = 1024 * 1024, STACK = 2 * 1024 * 1024 };

struct mhd_server {
	struct MHD_Daemon *daemon;
	struct mhd_options options;
	struct mhd_deadlines *deadlines;
	atomic_int in_flight;
	int fd;
};

/* A request as it comes in, MHD's *context. */
struct incoming {
	struct mhd_request request;
	size_t received;
	bool holds_nul, is_suspended;
	struct mhd_server *server;
	struct mhd_stream *stream; /* NULL: the body is gathered */
	int64_t stream_until_ms;
};

const char *mhd_request_header(const struct mhd_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *mhd_request_query(const struct mhd_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct stray {
	const char *const *known;
	unsigned seen; /* a bit for each of `known` */
	const char *found;
};

static enum MHD_Result look_for_stray(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	struct stray *stray = arg;
	unsigned i = 0;
	while (stray->known[i] && strcmp(stray->known[i], name) != 0)
		i++;
	bool stays = value && stray->known[i] && !(stray->seen >> i & 1);
	stray->seen |= 1U << i;
	if (!stays)
		stray->found = name;
	return stays ? MHD_YES : MHD_NO;
}

const char *mhd_request_stray_query(const struct mhd_request *request, const char *const *known)
{
	struct stray stray = {.known = known};
	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look_for_stray, &stray);
	return stray.found;
}

const char *mhd_request_cookie(const struct mhd_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, name);
}

void mhd_request_remote(const struct mhd_request *request, char text[NET_ADDRESS_TEXT])
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct net_address address = {.size = sizeof address.storage};
	text[0] = '\0';
	if (!info || !info->client_addr)
		return;
	bool v4 = info->client_addr->sa_family == AF_INET;
	address.size = v4 ? sizeof address.storage.v4 : sizeof address.storage.v6;
	memcpy(&address.storage, info->client_addr, address.size);
	net_format_host(&address, text);
}

bool mhd_request_is(const struct mhd_request *request, const char *method, const char *path)
{
	return strcmp(request->method, method) == 0 && strcmp(request->path, path) == 0;
}

void mhd_request_suspend(const struct mhd_request *request, void *waited_for)
{
	struct incoming *incoming = (struct incoming *)(uintptr_t)request; /* which it is the beginning of */
	incoming->request.waited_for = waited_for;
	incoming->is_suspended = true;
	MHD_suspend_connection(request->connection);
}

void mhd_resume(struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
}

void mhd_reply_header(struct mhd_reply *reply, const char *name, const char *format, ...)
{
	if (reply->header_count == MHD_REPLY_HEADERS)
		abort();
	char *value = reply->headers[reply->header_count].value;
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(value, MHD_REPLY_VALUE, format, arguments);
	va_end(arguments);
	if (size < 0 || size >= MHD_REPLY_VALUE)
		abort();
	reply->headers[reply->header_count++].name = name;
}

void mhd_reply_text(struct mhd_reply *reply, unsigned status, const char *text)
{
	reply->status = status;
	reply->type = "text/plain; charset=utf-8";
	reply->body = (char *)text;
	reply->size = strlen(text);
	reply->borrowed = true;
}

/* Each piece of a stream gets the time of a stage, all of them together MHD_STREAM_MS. */
static void extend_deadline(struct incoming *incoming)
{
	int64_t left = incoming->stream_until_ms - clock_monotonic_ms();
	mhd_deadlines_set(incoming->server->deadlines, incoming->request.connection,
	    left > MHD_STAGE_MS ? MHD_STAGE_MS
	    : left > 0          ? (int)left
				: 1);
}

static ssize_t read_stream(void *arg, uint64_t position, char *bytes, size_t size)
{
	(void)position;
	struct incoming *incoming = arg;
	extend_deadline(incoming);
	ssize_t got = incoming->stream->read(incoming->stream, bytes, size);
	return got > 0    ? got
	       : got == 0 ? MHD_CONTENT_READER_END_OF_STREAM
			  : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct incoming *incoming, struct mhd_reply *reply)
{
	if (reply->streamed)
		return MHD_create_response_from_callback(
		    MHD_SIZE_UNKNOWN, MHD_BODY_MAX, read_stream, incoming, NULL);
	return MHD_create_response_from_buffer(reply->size, reply->body ? reply->body : (void *)"",
	    reply->borrowed || !reply->body ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result send_reply(struct incoming *incoming, struct mhd_reply *reply)
{
	struct MHD_Response *response = make_response(incoming, reply);
	if (!response)
		return MHD_NO;
	if (reply->type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
	enum MHD_Result result = MHD_queue_response(incoming->request.connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Called first of all, with the address as it came: decoded, it would end at an encoded NUL, and somebody
 * else's name could pass for a domain's. */
static void *on_address(void *arg, const char *address, struct MHD_Connection *connection)
{
	struct incoming *incoming = mem_alloc(sizeof *incoming);
	incoming->server = arg;
	incoming->request.connection = connection;
	incoming->request.target = mem_string(address);
	incoming->holds_nul = strstr(address, "%00");
	buf_init(&incoming->request.body, MHD_BODY_MAX);
	return incoming;
}

static void begin(struct mhd_server *server, struct incoming *incoming, const char *method, const char *path)
{
	/* HEAD is answered as GET; the library leaves the body out. */
	incoming->request.method = mem_string(strcmp(method, "HEAD") == 0 ? "GET" : method);
	incoming->request.path = mem_string(path);
	const char *length = mhd_request_header(&incoming->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
	incoming->request.too_large = length && strtoull(length, NULL, 10) > MHD_BODY_MAX;
	server->in_flight++;
}

static void on_completed(
    void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	(void)code;
	struct mhd_server *server = arg;
	struct incoming *incoming = *context;
	if (!incoming)
		return;
	if (incoming->request.method)
		server->in_flight--;
	buf_wipe(&incoming->request.body);
	free((char *)incoming->request.method);
	free((char *)incoming->request.path);
	free((char *)incoming->request.target);
	if (incoming->stream)
		incoming->stream->close(incoming->stream);
	if (incoming->request.waited_for)
		server->options.drop(server->options.arg, incoming->request.waited_for);
	free(incoming);
	*context = NULL;
	mhd_deadlines_set(server->deadlines, connection, MHD_STAGE_MS);
}

static enum MHD_Result handle(struct mhd_server *server, struct incoming *incoming)
{
	struct mhd_reply reply = {.status = 500};
	mhd_deadlines_set(server->deadlines, incoming->request.connection, 0);
	incoming->is_suspended = false;
	if (incoming->holds_nul)
		mhd_reply_text(&reply, MHD_HTTP_BAD_REQUEST, "the address holds a NUL byte\n");
	else
		server->options.handle(server->options.arg, &incoming->request, &reply);
	if (incoming->is_suspended)
		return MHD_YES;
	mhd_deadlines_set(server->deadlines, incoming->request.connection, MHD_STAGE_MS);
	return send_reply(incoming, &reply);
}

/* The head is there. R_NONE: go on with the body. */
static enum result open_stream(struct mhd_server *server, struct incoming *incoming, struct mhd_reply *reply)
{
	if (!server->options.open || incoming->holds_nul)
		return R_NONE;
	enum result result =
	    server->options.open(server->options.arg, &incoming->request, reply, &incoming->stream);
	if (result == R_OK) {
		incoming->request.too_large = false;
		incoming->stream_until_ms = clock_monotonic_ms() + MHD_STREAM_MS;
	}
	return result;
}

static enum MHD_Result start(
    struct mhd_server *server, struct incoming *incoming, const char *method, const char *path)
{
	struct mhd_reply reply = {.status = 500};
	begin(server, incoming, method, path);
	enum result result = open_stream(server, incoming, &reply);
	if (result != R_OK && result != R_NONE)
		return send_reply(incoming, &reply);
	return incoming->request.too_large ? handle(server, incoming) : MHD_YES;
}

static enum MHD_Result finish_stream(struct mhd_server *server, struct incoming *incoming)
{
	struct mhd_reply reply = {.status = 500};
	mhd_deadlines_set(server->deadlines, incoming->request.connection, 0);
	incoming->stream->finish(incoming->stream, &reply);
	extend_deadline(incoming);
	return send_reply(incoming, &reply);
}

static enum MHD_Result take_body(struct incoming *incoming, const char *bytes, size_t size)
{
	incoming->received += size;
	if (incoming->stream) {
		mhd_deadlines_set(incoming->server->deadlines, incoming->request.connection, 0);
		incoming->stream->take(incoming->stream, bytes, size);
		extend_deadline(incoming);
		return MHD_YES;
	}
	if (!incoming->request.too_large && buf_append(&incoming->request.body, bytes, size) != R_OK)
		incoming->request.too_large = true;
	/* The library's own copy, which it hands over for good and would free as it is: a key may be in it.
	 */
	OPENSSL_cleanse((char *)(uintptr_t)bytes, size);
	return incoming->received > SWALLOW_MAX ? MHD_NO : MHD_YES;
}

/* Called once when the headers are there, for each piece of a body, and once more when the request is
 * complete. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **context)
{
	(void)connection;
	(void)version;
	struct mhd_server *server = arg;
	struct incoming *incoming = *context;
	if (!incoming->request.method)
		return start(server, incoming, method, path);
	if (*upload_size == 0)
		return incoming->stream ? finish_stream(server, incoming) : handle(server, incoming);
	enum MHD_Result result = take_body(incoming, upload, *upload_size);
	*upload_size = 0;
	return result;
}

static void on_connection(
    void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct mhd_server *server = arg;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		mhd_deadlines_remove(server->deadlines, *context);
		return;
	}
	*context = mhd_deadlines_add(server->deadlines, connection, MHD_STAGE_MS);
	if (server->options.client_ca)
		mhd_demand_client_certificate(connection);
}

/* The library's complaints are about peers: nothing for a log that somebody watches. */
__attribute__((format(printf, 2, 0))) static void on_library_log(
    void *arg, const char *format, va_list arguments)
{
	(void)arg;
	char text[300];
	vsnprintf(text, sizeof text, format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("HTTP server", log_str("said", text));
}

enum result mhd_bind(int *fd, const char *setting, const char *address, struct error *error)
{
	struct net_address parsed;
	enum result result = net_parse_address(&parsed, address, error);
	if (result == R_OK)
		result = net_listen(fd, &parsed, false, error);
	if (result != R_OK) {
		error_prefix(error, "%s", setting);
		return result;
	}
	char text[NET_ADDRESS_TEXT];
	parsed.size = sizeof parsed.storage;
	getsockname(*fd, (struct sockaddr *)&parsed.storage, &parsed.size);
	net_format_address(&parsed, text);
	log_info("listening", log_str("setting", setting), log_str("address", text));
	return R_OK;
}

enum result mhd_server_start(struct mhd_server **out, const struct mhd_options *options, struct error *error)
{
	struct mhd_server *server = mem_alloc(sizeof *server);
	server->options = *options;
	server->deadlines = mhd_deadlines_start(options->connections);
	unsigned flags = MHD_USE_ERROR_LOG | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC;
	flags |=
	    options->thread_per_connection ? MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL : MHD_USE_EPOLL;
	flags |= options->certificate ? MHD_USE_TLS : 0;
	flags |= options->drop ? MHD_ALLOW_SUSPEND_RESUME : 0;
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key},
	    {MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)options->client_ca}, {MHD_OPTION_END, 0, NULL}};
	tls[options->client_ca ? 3 : options->certificate ? 2 : 0].option = MHD_OPTION_END;
	server->daemon =
	    MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
		on_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, options->fd, MHD_OPTION_CONNECTION_LIMIT,
		options->connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)MHD_STAGE_MS / 1000,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		server, MHD_OPTION_URI_LOG_CALLBACK, on_address, server, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, server, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!server->daemon) {
		error_set(error, options->certificate ? "cannot start the HTTPS server: do ask-cert-file and "
							"ask-key-file hold a PEM chain and its key?"
						      : "cannot start the HTTP server");
		mhd_deadlines_stop(server->deadlines);
		close(options->fd);
		free(server);
		return R_ERROR;
	}
	*out = server;
	return R_OK;
}

static void wait_in_flight(struct mhd_server *server)
{
	int64_t deadline_ms = clock_monotonic_ms() + DRAIN_MS;
	struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
	while (server->in_flight > 0 && clock_monotonic_ms() < deadline_ms)
		nanosleep(&step, NULL);
}

void mhd_server_stop(struct mhd_server *server)
{
	if (!server)
		return;
	int fd = MHD_quiesce_daemon(server->daemon);
	if (fd >= 0)
		close(fd);
	wait_in_flight(server);
	MHD_stop_daemon(server->daemon);
	mhd_deadlines_stop(server->deadlines);
	free(server);
}
