/*
 * Names for requests: 128 random bits as 32 hexadecimal digits, unique enough to find one request in the logs
 * of all hops.
 */
#ifndef EDGE_REQUEST_ID_H
#define EDGE_REQUEST_ID_H

enum { REQUEST_ID_MADE = 32 };

/* Any thread; random bytes are fetched for some sixty at once. Ends the process where the kernel has none. */
void request_id_make(char out[REQUEST_ID_MADE + 1]);

#endif
