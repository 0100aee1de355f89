/*
 * TLS alerts that the edge sends by itself, before any SSL exists (RFC 8446 section 6): seven bytes.
 */
#ifndef EDGE_TLS_ALERT_H
#define EDGE_TLS_ALERT_H

enum tls_alert {
	TLS_ALERT_NONE = -1,
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_ACCESS_DENIED = 49,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_PROTOCOL_VERSION = 70,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_UNRECOGNIZED_NAME = 112,
};

enum { TLS_ALERT_RECORD_SIZE = 7 };

/* A fatal alert in a record of its own. The version is TLS 1.2's, which every client takes at this point. */
static inline void tls_alert_record(unsigned char record[TLS_ALERT_RECORD_SIZE], enum tls_alert alert)
{
	const unsigned char bytes[TLS_ALERT_RECORD_SIZE] = {21, 3, 3, 0, 2, 2, (unsigned char)alert};

	for (int i = 0; i < TLS_ALERT_RECORD_SIZE; i++)
		record[i] = bytes[i];
}

#endif
