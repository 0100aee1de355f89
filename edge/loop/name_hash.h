/*
 * A keyed hash (SipHash-2-4) for the tables that strangers fill: names come from ClientHellos, and whoever
 * sends them must not be able to choose which chain they land in. The key is random, once per process.
 */
#ifndef EDGE_NAME_HASH_H
#define EDGE_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t name_hash(const char *name);
/* The hash itself, with a key of the caller's (16 bytes). */
uint64_t name_hash_keyed(const unsigned char key[16], const void *bytes, size_t size);

#endif
