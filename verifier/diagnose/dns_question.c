#include "verifier/diagnose/dns_question.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/dns/rdata.h"

enum { HEADER = 12 };

/* Allocated as all of ours is: ldns' memory is malloc's too, but that is its own affair. */
uint8_t *dns_question_make(struct dns_question *question, size_t *size)
{
	uint8_t *wire = NULL, *copy = NULL;
	ldns_rdf *name = ldns_dname_new_frm_str(question->name);
	ldns_pkt *packet =
	    name ? ldns_pkt_query_new(name, (ldns_rr_type)question->type, LDNS_RR_CLASS_IN, 0) : NULL;
	if (!packet) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	process_random(&question->id, sizeof question->id);
	ldns_pkt_set_id(packet, question->id);
	ldns_pkt_set_edns_udp_size(packet, DNS_PACKET_MAX);
	if (ldns_pkt2wire(&wire, packet, size) == LDNS_STATUS_OK)
		copy = mem_copy(wire, *size);
	free(wire);
	ldns_pkt_free(packet);
	return copy;
}

void dns_name_text(char out[HOSTNAME_MAX + 1], const void *bytes, size_t size)
{
	const unsigned char *from = bytes;
	if (size > HOSTNAME_MAX)
		size = HOSTNAME_MAX;
	for (size_t i = 0; i < size; i++)
		out[i] = (char)(from[i] > ' ' && from[i] < 0x7f ? from[i] : '?');
	out[size] = '\0';
}

static void take_name(char out[HOSTNAME_MAX + 1], const ldns_rdf *name)
{
	struct resolver_value text = rdata_read_name(ldns_rdf_data(name), ldns_rdf_size(name));
	dns_name_text(out, text.bytes, text.size);
	free(text.bytes);
}

/* ---- records ---- */

static struct resolver_value raw_data(const ldns_rr *rr)
{
	struct resolver_value value = {.bytes = mem_alloc(ldns_rr_uncompressed_size(rr) + 1)};
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *part = ldns_rr_rdf(rr, i);
		memcpy(value.bytes + value.size, ldns_rdf_data(part), ldns_rdf_size(part));
		value.size += ldns_rdf_size(part);
	}
	return value;
}

static bool is_of_size(enum resolver_type type, size_t size)
{
	return type == RESOLVER_A ? size == 4 : type != RESOLVER_AAAA || size == 16;
}

static void take_value(struct resolver_answer *out, enum resolver_type type, const ldns_rr *rr)
{
	struct resolver_value raw = raw_data(rr), value = raw;
	if (type == RESOLVER_TXT)
		value = rdata_read_text(raw.bytes, raw.size);
	else if (type == RESOLVER_CNAME || type == RESOLVER_NS)
		value = rdata_read_name(raw.bytes, raw.size);
	if (value.bytes != raw.bytes)
		free(raw.bytes);
	if (is_of_size(type, value.size))
		out->values[out->count++] = value;
	else
		free(value.bytes);
}

static const ldns_rr *find_record(const ldns_rr_list *list, const ldns_rdf *owner, ldns_rr_type type)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		if (ldns_rr_get_type(rr) == type && ldns_dname_compare(ldns_rr_owner(rr), owner) == 0 &&
		    ldns_rr_rd_count(rr) > 0)
			return rr;
	}
	return NULL;
}

/* Where the aliases of the reply lead, from the name on. */
static const ldns_rdf *follow_aliases(struct dns_reply *out, const ldns_rr_list *list, const ldns_rdf *name)
{
	const ldns_rdf *seen[DNS_ALIASES_MAX + 1] = {name};
	for (size_t count = 1; count <= DNS_ALIASES_MAX; count++) {
		const ldns_rr *rr = find_record(list, seen[count - 1], LDNS_RR_TYPE_CNAME);
		if (!rr)
			return seen[count - 1];
		seen[count] = ldns_rr_rdf(rr, 0);
		if (count == 1)
			take_name(out->alias, seen[1]);
		for (size_t i = 0; i < count; i++)
			if (ldns_dname_compare(seen[i], seen[count]) == 0)
				out->alias_loops = true;
		if (out->alias_loops)
			break;
	}
	return NULL;
}

static enum resolver_outcome outcome_of(const struct dns_reply *reply)
{
	if (reply->answer.count)
		return RESOLVER_FOUND;
	return reply->code == LDNS_RCODE_NOERROR    ? RESOLVER_NO_DATA
	       : reply->code == LDNS_RCODE_NXDOMAIN ? RESOLVER_NO_NAME
						    : RESOLVER_TEMPORARY;
}

static void take_answer(struct dns_reply *out, const ldns_pkt *packet, const struct dns_question *question)
{
	const ldns_rr_list *list = ldns_pkt_answer(packet);
	const ldns_rdf *name = ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
	const ldns_rdf *end = question->type == RESOLVER_CNAME ? name : follow_aliases(out, list, name);
	size_t count = ldns_rr_list_rr_count(list);
	out->answer.values = mem_alloc_array(count + 1, sizeof *out->answer.values);
	for (size_t i = 0; end && i < count; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		if (ldns_rr_get_type(rr) == (ldns_rr_type)question->type &&
		    ldns_dname_compare(ldns_rr_owner(rr), end) == 0)
			take_value(&out->answer, question->type, rr);
	}
	if (end && end != name)
		take_name(out->answer.canonical, end);
	out->answer.outcome = outcome_of(out);
}

static void take_soa(struct dns_reply *out, const ldns_pkt *packet)
{
	const ldns_rdf *name = ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
	const ldns_rr *soa = find_record(ldns_pkt_answer(packet), name, LDNS_RR_TYPE_SOA);
	if (!soa || ldns_rr_rd_count(soa) < 3 || ldns_rdf_size(ldns_rr_rdf(soa, 2)) != 4)
		return;
	take_name(out->primary, ldns_rr_rdf(soa, 0));
	out->serial = ldns_rdf2native_int32(ldns_rr_rdf(soa, 2));
	out->has_serial = true;
}

/* ---- referrals ---- */

static void take_glue(struct dns_delegate *delegate, const ldns_pkt *packet, const ldns_rdf *name)
{
	const ldns_rr_list *list = ldns_pkt_additional(packet);
	const ldns_rr *rr = find_record(list, name, LDNS_RR_TYPE_A);
	rr = rr ? rr : find_record(list, name, LDNS_RR_TYPE_AAAA);
	size_t size = rr ? ldns_rdf_size(ldns_rr_rdf(rr, 0)) : 0;
	if (size != 4 && size != 16)
		return;
	memcpy(delegate->glue, ldns_rdf_data(ldns_rr_rdf(rr, 0)), size);
	delegate->glue_size = size;
}

static void take_referral(struct dns_reply *out, const ldns_pkt *packet)
{
	const ldns_rr_list *list = ldns_pkt_authority(packet);
	const ldns_rdf *cut = NULL;
	for (size_t i = 0; i < ldns_rr_list_rr_count(list) && out->delegate_count < DNS_REFERRAL_MAX; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_NS || !ldns_rr_rd_count(rr) ||
		    (cut && ldns_dname_compare(cut, ldns_rr_owner(rr)) != 0))
			continue;
		cut = ldns_rr_owner(rr);
		struct dns_delegate *delegate = &out->delegates[out->delegate_count++];
		take_name(delegate->name, ldns_rr_rdf(rr, 0));
		take_glue(delegate, packet, ldns_rr_rdf(rr, 0));
	}
	if (cut)
		take_name(out->cut, cut);
}

/* ---- the packet ---- */

/* A server that will not even read the question may leave it out of its refusal. */
static bool is_answer_to(const struct dns_question *question, const ldns_pkt *packet)
{
	const ldns_rr_list *list = ldns_pkt_question(packet);
	if (ldns_rr_list_rr_count(list) != 1)
		return ldns_pkt_get_rcode(packet) != LDNS_RCODE_NOERROR;
	const ldns_rr *asked = ldns_rr_list_rr(list, 0);
	ldns_rdf *name = ldns_dname_new_frm_str(question->name);
	bool is_same = name && ldns_rr_get_type(asked) == (ldns_rr_type)question->type &&
		       ldns_dname_compare(ldns_rr_owner(asked), name) == 0;
	ldns_rdf_deep_free(name);
	return is_same;
}

static void read_packet(const struct dns_question *question, const ldns_pkt *packet, struct dns_reply *out)
{
	out->is_authoritative = ldns_pkt_aa(packet);
	out->code = ldns_pkt_get_rcode(packet);
	if (ldns_rr_list_rr_count(ldns_pkt_question(packet)) != 1)
		return;
	take_answer(out, packet, question);
	if (question->type == RESOLVER_SOA)
		take_soa(out, packet);
	if (!out->is_authoritative && !out->answer.count)
		take_referral(out, packet);
}

enum result dns_question_read(
    const struct dns_question *question, const uint8_t *bytes, size_t size, struct dns_reply *out)
{
	enum { ANSWER = 0x80, TRUNCATED = 0x02 };
	ldns_pkt *packet = NULL;
	*out = (struct dns_reply){.answer = {.outcome = RESOLVER_TEMPORARY}};
	if (size < HEADER || (bytes[0] << 8 | bytes[1]) != question->id || !(bytes[2] & ANSWER))
		return R_NONE;
	/* Where it was cut there may be half a record. */
	out->is_truncated = bytes[2] & TRUNCATED;
	if (out->is_truncated)
		return R_OK;
	if (ldns_wire2pkt(&packet, bytes, size) != LDNS_STATUS_OK)
		return R_INVALID;
	bool is_ours = is_answer_to(question, packet);
	if (is_ours)
		read_packet(question, packet, out);
	ldns_pkt_free(packet);
	return is_ours ? R_OK : R_NONE;
}

void dns_reply_fini(struct dns_reply *reply)
{
	resolver_answer_free(&reply->answer);
}
