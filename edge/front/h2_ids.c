#include "edge/front/h2_ids.h"

#include <string.h>

enum { MARKS_PER_BYTE = 8 / H2_IDS_BITS, MARK = (1 << H2_IDS_BITS) - 1 };

/* 1, 3, 5, … → 1, 2, 3, … */
static uint32_t ordinal_of(int32_t id)
{
	return ((uint32_t)id + 1) / 2;
}

static int shift_of(uint32_t ordinal)
{
	return (int)(ordinal % MARKS_PER_BYTE) * H2_IDS_BITS;
}

static void set(struct h2_ids *ids, uint32_t ordinal, enum h2_id mark)
{
	uint8_t *byte = &ids->marks[ordinal % H2_IDS / MARKS_PER_BYTE];

	*byte = (uint8_t)((*byte & ~(MARK << shift_of(ordinal))) | ((int)mark << shift_of(ordinal)));
}

enum h2_id h2_ids_find(const struct h2_ids *ids, int32_t id)
{
	uint32_t ordinal = ordinal_of(id);

	if (ordinal > ids->newest || ids->newest - ordinal >= H2_IDS)
		return H2_ID_UNKNOWN;
	return (enum h2_id)(ids->marks[ordinal % H2_IDS / MARKS_PER_BYTE] >> shift_of(ordinal) & MARK);
}

void h2_ids_open(struct h2_ids *ids, int32_t id)
{
	uint32_t ordinal = ordinal_of(id);

	if (ordinal <= ids->newest)
		return;
	if (ordinal - ids->newest >= H2_IDS)
		memset(ids->marks, 0, sizeof ids->marks);
	else
		while (++ids->newest < ordinal)
			set(ids, ids->newest, H2_ID_PASSED_OVER);
	ids->newest = ordinal;
	set(ids, ordinal, H2_ID_OPENED);
}

void h2_ids_end(struct h2_ids *ids, int32_t id)
{
	if (h2_ids_find(ids, id) == H2_ID_OPENED)
		set(ids, ordinal_of(id), H2_ID_ENDED);
}
