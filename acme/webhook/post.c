#include "acme/webhook/post.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clean_text.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/version.h"

enum { HEADER_MAX = 32 * 1024, BODY_MAX = 64 * 1024, FIRST_FINAL_STATUS = 200 };

struct post {
	CURL *curl;
	const struct webhook_rules *rules;
	const char *ca_file;
	struct curl_slist *headers;
	struct curl_slist *resolve;
	int64_t begun_ms;
	bool barred;   /* no address was allowed */
	bool allowed;  /* one was */
	bool answered; /* the header of the final answer has come */
	size_t header_size;
	size_t body_size;
	char answer[DELIVERY_ANSWER_SIZE]; /* the beginning of the body, as it came */
	char reason[CURL_ERROR_SIZE];
};

static void *or_die(void *memory)
{
	if (!memory)
		abort(); /* out of memory, as in common/base/mem.h */
	return memory;
}

struct post *post_new(const struct webhook_rules *rules, const char *ca_file)
{
	struct post *post = mem_alloc(sizeof *post);
	post->curl = or_die(curl_easy_init());
	post->rules = rules;
	post->ca_file = ca_file;
	return post;
}

static void drop_lists(struct post *post)
{
	curl_slist_free_all(post->headers);
	curl_slist_free_all(post->resolve);
	post->headers = post->resolve = NULL;
}

void post_free(struct post *post)
{
	if (!post)
		return;
	curl_easy_cleanup(post->curl);
	drop_lists(post);
	free(post);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct post *post = arg;
	long status = 0;
	size_t length = size * count;
	post->header_size += length;
	curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
	bool is_last = length <= 2 && strspn(bytes, "\r\n") >= length;
	post->answered = post->answered || (is_last && status >= FIRST_FINAL_STATUS);
	return post->header_size > HEADER_MAX ? 0 : length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct post *post = arg;
	size_t length = size * count;
	size_t room =
	    post->body_size < sizeof post->answer - 1 ? sizeof post->answer - 1 - post->body_size : 0;
	memcpy(post->answer + (sizeof post->answer - 1 - room), bytes, length < room ? length : room);
	post->body_size += length;
	return post->body_size > BODY_MAX ? 0 : length;
}

static bool may_connect(const struct webhook_rules *rules, const struct curl_sockaddr *to)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (to->family == AF_INET && to->addrlen >= sizeof v4) {
		memcpy(&v4, &to->addr, sizeof v4);
		return webhook_may_reach(rules, (const unsigned char *)&v4.sin_addr, 4);
	}
	if (to->family == AF_INET6 && to->addrlen >= sizeof v6) {
		memcpy(&v6, &to->addr, sizeof v6);
		return webhook_may_reach(rules, v6.sin6_addr.s6_addr, 16);
	}
	return false;
}

/* The last word about each connection. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct post *post = arg;
	bool may = purpose == CURLSOCKTYPE_IPCXN && may_connect(post->rules, to);
	post->allowed = post->allowed || may;
	post->barred = !post->allowed;
	return may ? socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol) : CURL_SOCKET_BAD;
}

static void set_limits(struct post *post)
{
	CURL *curl = post->curl;
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, post->rules->http ? "http,https" : "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)POST_CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)POST_MS);
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, 30L);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, post);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, post->reason);
	/* The system's are in CURLOPT_CAPATH's default. */
	if (post->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, post->ca_file);
}

static void add_header(struct post *post, char *line)
{
	post->headers = or_die(curl_slist_append(post->headers, line));
	free(line);
}

static void set_message(struct post *post, const struct post_request *request)
{
	CURL *curl = post->curl;
	add_header(post, mem_string("Content-Type: application/json"));
	add_header(post, mem_string("Expect:"));
	add_header(post, mem_format("webhook-id: %s", request->id));
	add_header(post, mem_format("webhook-timestamp: %lld", (long long)request->timestamp));
	add_header(post, mem_format("webhook-signature: %s", request->signatures));
	curl_easy_setopt(curl, CURLOPT_URL, request->target->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, post->headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "postern-webhooks/" POSTERN_VERSION);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, post);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, post);
}

/* `+`: libcurl forgets them again. */
static void set_addresses(struct post *post, const struct post_request *request)
{
	if (!request->addresses)
		return;
	char *entry = mem_format(
	    "+%s:%u:%s", request->target->host.text, (unsigned)request->target->port, request->addresses);
	post->resolve = or_die(curl_slist_append(NULL, entry));
	free(entry);
	curl_easy_setopt(post->curl, CURLOPT_RESOLVE, post->resolve);
}

void post_begin(struct post *post, CURLM *multi, const struct post_request *request, void *owner)
{
	curl_easy_reset(post->curl);
	drop_lists(post);
	post->barred = post->allowed = post->answered = false;
	post->header_size = post->body_size = 0;
	post->reason[0] = '\0';
	memset(post->answer, 0, sizeof post->answer);
	post->begun_ms = clock_monotonic_ms();
	set_limits(post);
	set_message(post, request);
	set_addresses(post, request);
	curl_easy_setopt(post->curl, CURLOPT_PRIVATE, owner);
	if (curl_multi_add_handle(multi, post->curl) != CURLM_OK)
		abort();
}

static void judge_answer(struct post *post, long status, struct outcome *out)
{
	curl_off_t wait = 0;
	out->status = (int)status;
	out->delivered = status >= 200 && status < 300;
	out->kind = out->delivered ? "delivered" : "status";
	clean_text(out->answer, sizeof out->answer, post->answer);
	curl_easy_getinfo(post->curl, CURLINFO_RETRY_AFTER, &wait);
	out->retry_after_s = wait;
	if (out->delivered)
		return;
	if (status >= 300 && status < 400)
		snprintf(out->error, sizeof out->error,
		    "It answered %ld: redirects are not followed; give the webhook the URL that they lead "
		    "to.",
		    status);
	else
		snprintf(out->error, sizeof out->error,
		    "It answered %ld, where 2xx says that it has the message.", status);
}

static void judge_failure(struct post *post, CURLcode code, struct outcome *out)
{
	out->kind = post->barred ? "barred" : "network";
	if (post->barred)
		snprintf(out->error, sizeof out->error, "Its address is not a public one: nothing was sent.");
	else if (post->header_size > HEADER_MAX)
		snprintf(out->error, sizeof out->error, "The header of its answer is longer than %d bytes.",
		    HEADER_MAX);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(out->error, sizeof out->error,
		    "It did not answer in time: %d s for the connection, %d s for all.",
		    POST_CONNECT_MS / 1000, POST_MS / 1000);
	else
		clean_text(
		    out->error, sizeof out->error, post->reason[0] ? post->reason : curl_easy_strerror(code));
}

/* Who has answered 2xx has the message, however long the rest of the answer is or takes. */
void post_end(struct post *post, CURLM *multi, CURLcode code, struct outcome *out)
{
	long status = 0;
	*out = (struct outcome){.took_ms = (int)(clock_monotonic_ms() - post->begun_ms)};
	curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
	if (post->answered)
		judge_answer(post, status, out);
	else
		judge_failure(post, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code, out);
	curl_multi_remove_handle(multi, post->curl);
}

void post_cancel(struct post *post, CURLM *multi)
{
	curl_multi_remove_handle(multi, post->curl);
}
