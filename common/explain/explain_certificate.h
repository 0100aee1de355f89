/*
 * Which stored certificates may serve a name: its own and its wildcard's, of a tenant's those of the owner
 * alone; and which of them goes first. Text for statements.
 */
#ifndef COMMON_EXPLAIN_EXPLAIN_CERTIFICATE_H
#define COMMON_EXPLAIN_EXPLAIN_CERTIFICATE_H

#define EXPLAIN_SERVES(row, name) \
	row ".name IN (" name ", '*' || substr(" name ", strpos(" name ", '.'))) AND (" row \
	    ".tenant IS NULL OR " row ".tenant = (SELECT s.tenant FROM domains s WHERE s.name = " name \
	    " AND s.status IN ('active', 'drifted', 'suspended')))"
#define EXPLAIN_RANK(row, name) \
	"certificate_rank(" row ".name = " name ", " row ".source, " row ".tenant, " row ".removed_at, " row \
	".not_after)"

#endif
