#include "edge/front/h2_scan.h"

#include <string.h>

enum { PREFACE = 24, TYPE = 3, FLAGS = 4, ID = 5, TYPE_DATA = 0, FLAG_END_STREAM = 1 };

void h2_scan_init(struct h2_scan *scan)
{
	*scan = (struct h2_scan){.left = PREFACE};
}

static size_t smaller(size_t one, size_t other)
{
	return one < other ? one : other;
}

static uint32_t read_number(const uint8_t *bytes, int size)
{
	uint32_t number = 0;

	for (int i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* True: the header is whole. */
static bool fill_header(struct h2_scan *scan, const char *bytes, size_t size, size_t *at)
{
	size_t some = smaller(H2_SCAN_HEADER - scan->filled, size - *at);

	memcpy(scan->header + scan->filled, bytes + *at, some);
	scan->filled = (uint8_t)(scan->filled + some);
	*at += some;
	return scan->filled == H2_SCAN_HEADER;
}

bool h2_scan_next(struct h2_scan *scan, const char *bytes, size_t size, size_t *at, struct h2_scan_data *data)
{
	while (*at < size) {
		size_t skipped = smaller(scan->left, size - *at);

		*at += skipped;
		scan->left -= (uint32_t)skipped;
		if (*at == size || !fill_header(scan, bytes, size, at))
			break;
		scan->filled = 0;
		scan->left = read_number(scan->header, TYPE);
		if (scan->header[TYPE] != TYPE_DATA)
			continue;
		*data = (struct h2_scan_data){.id = (int32_t)(read_number(scan->header + ID, 4) & INT32_MAX),
		    .size = scan->left,
		    .is_last = scan->header[FLAGS] & FLAG_END_STREAM};
		return true;
	}
	return false;
}
