/*
 * Where the frames of DATA begin in what a client of HTTP/2 sends (RFC 9113 sections 3.4 and 4.1), for who
 * has to know of each: nghttp2 throws those for streams that are over away without a word.
 */
#ifndef EDGE_H2_SCAN_H
#define EDGE_H2_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { H2_SCAN_HEADER = 9 };

struct h2_scan {
	uint32_t left; /* of the preface, or of a frame's payload */
	uint8_t filled;
	uint8_t header[H2_SCAN_HEADER];
};

struct h2_scan_data {
	int32_t id;
	uint32_t size; /* of the payload, padding included */
	bool is_last;  /* END_STREAM */
};

void h2_scan_init(struct h2_scan *scan);
/* Goes on from `*at` in these bytes, which begin where those of the calls before ended. True: `*at` is behind
 * the header of a frame of DATA, whose last byte is one of these. False: `*at` is `size`. */
bool h2_scan_next(
    struct h2_scan *scan, const char *bytes, size_t size, size_t *at, struct h2_scan_data *data);

#endif
