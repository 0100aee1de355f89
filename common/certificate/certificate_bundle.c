/*
 * A file of CAs that a setting names: is it whole? Half of one, as it stands there while somebody copies it,
 * would make every later handshake fail.
 */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/certificate/certificate.h"

enum result certificate_check_bundle(const char *pem, size_t size, struct error *error)
{
	BIO *bio = size > 0 ? BIO_new_mem_buf(pem, (int)size) : NULL;
	X509 *certificate = NULL;
	size_t count = 0;
	ERR_clear_error();
	while (bio && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
		X509_free(certificate);
		count++;
	}
	bool at_end = !bio || ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (at_end && count > 0)
		return R_OK;
	if (count == 0 && at_end)
		error_set(error, "the file holds no certificate in PEM");
	else
		error_set(error, "certificate number %zu of the file cannot be read", count + 1);
	return R_INVALID;
}
