/*
 * One line of an import: JSON in, a claim to be added or the reason why not; and what became of it, as JSON.
 */
#ifndef VERIFIER_API_IMPORT_LINE_H
#define VERIFIER_API_IMPORT_LINE_H

#include "verifier/claim/domain.h"

struct import_line {
	int number; /* in the request, from 1 */
	struct domain_new claim;
	const char *code; /* NULL: it may be added */
	char field[64];
	char detail[600];
};

/* `text` has `size` bytes. import_line_fini frees. */
void import_line_read(struct import_line *line, const struct config *config, const struct scope *scope,
    const char *text, size_t size);
void import_line_refuse(struct import_line *line, const char *code, const char *field, const char *detail);
/* `outcome` counts where it was not refused. To be freed; ends with a newline. */
char *import_line_answer(
    const struct import_line *line, const struct config *config, enum domain_added outcome);
void import_line_fini(struct import_line *line);

#endif
