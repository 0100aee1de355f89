/*
 * Private keys pass through this process, in JSON and in OpenSSL's hands, which free much as it is. From
 * wiping_start on whatever these two free is overwritten first, so that a key's plaintext is gone with its
 * request.
 */
#ifndef VERIFIER_WIPING_H
#define VERIFIER_WIPING_H

/* Before either has allocated anything; else the process ends. */
void wiping_start(void);

#endif
