#include "edge/front/h1_out.h"

void h1_out_init(struct h1_out *out, struct stream *stream)
{
	*out = (struct h1_out){.stream = stream};
	buf_init(&out->buf, H1_OUT_MAX);
}

void h1_out_fini(struct h1_out *out)
{
	buf_fini(&out->buf);
}

enum result h1_out_flush(struct h1_out *out)
{
	while (out->failed == R_OK && buf_size(&out->buf) > 0) {
		size_t put = 0;
		enum result result =
		    stream_write(out->stream, buf_bytes(&out->buf), buf_size(&out->buf), &put);

		if (result == R_AGAIN)
			return R_AGAIN;
		if (result == R_OK)
			buf_consume(&out->buf, put);
		else
			out->failed = R_ERROR;
	}
	return out->failed;
}

static size_t smaller(size_t one, size_t other)
{
	return one < other ? one : other;
}

static size_t take_chunk(struct h1_out *out, const char *bytes, size_t size)
{
	if (buf_size(&out->buf) + H1_CHUNK_OVERHEAD >= H1_OUT_CHUNKED_MAX)
		return 0;
	size_t taken = smaller(size, H1_OUT_CHUNKED_MAX - H1_CHUNK_OVERHEAD - buf_size(&out->buf));
	h1_write_chunk(&out->buf, bytes, taken);
	return taken;
}

/* Gathers what fits into the record at hand; with nothing gathered a whole record goes straight out. TLS
 * wants the bytes of a blocked write offered again: they are, from the caller's memory or, with others behind
 * them, from ours. */
static size_t take_raw(struct h1_out *out, const char *bytes, size_t size, bool gathers)
{
	size_t gathered = buf_size(&out->buf);
	size_t put = 0;

	if (gathered >= H1_OUT_GATHER)
		return 0;
	if (gathered > 0 || (gathers && size < H1_OUT_GATHER)) {
		size_t taken = smaller(size, H1_OUT_GATHER - gathered);

		buf_append(&out->buf, bytes, taken);
		return taken;
	}
	if (stream_write(out->stream, bytes, size, &put) == R_ERROR)
		out->failed = R_ERROR;
	return put;
}

size_t h1_out_body(struct h1_out *out, const char *bytes, size_t size, enum http_body framing)
{
	size_t taken = 0;

	while (taken < size && out->failed == R_OK) {
		size_t some = framing == HTTP_BODY_CHUNKED
				  ? take_chunk(out, bytes + taken, size - taken)
				  : take_raw(out, bytes + taken, size - taken, framing != HTTP_BODY_TUNNEL);

		taken += some;
		if (some == 0 && (buf_size(&out->buf) == 0 || h1_out_flush(out) != R_OK))
			break;
	}
	return taken;
}
