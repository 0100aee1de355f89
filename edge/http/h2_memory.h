/*
 * The memory of nghttp2, towards clients and towards upstreams, as part of what the process counts against
 * `max-memory`.
 */
#ifndef EDGE_H2_MEMORY_H
#define EDGE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

/* For nghttp2_session_server_new3 and nghttp2_session_client_new3, which copy it. */
nghttp2_mem *h2_memory(void);

#endif
