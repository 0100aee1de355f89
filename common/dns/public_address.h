/*
 * Is an address one that the public internet can reach? What is private, loopback, link-local or set aside
 * otherwise (IANA's special-purpose registries) is not.
 */
#ifndef COMMON_DNS_PUBLIC_ADDRESS_H
#define COMMON_DNS_PUBLIC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* 4 or 16 bytes in network order. */
bool public_address_is(const unsigned char *bytes, size_t size);

#endif
