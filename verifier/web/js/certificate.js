// A domain's certificate: its state and dates, and uploading one of the customer's own.

import { api } from "./api.js";
import { announce, button, dialog, field, h } from "./dom.js";
import { dateText, fromNow, timeText } from "./words.js";

const WORDS = {
	none: "Not there yet",
	issuing: "Being obtained",
	issued: "Valid",
	failed: "Could not be obtained",
};

function fact(name, value) {
	return value ? [h("dt", null, name), h("dd", null, value)] : [];
}

const withDistance = (iso) => iso && `${dateText(iso)} (${fromNow(iso)})`;

// `stored` is what GET /v1/certificates/NAME says, null where there is none.
export function certificateNodes(domain, stored) {
	const certificate = domain.certificate;
	const waits =
		certificate.state === "none" &&
		(domain.status === "pending"
			? "It is obtained by itself once the domain is proven."
			: "It is obtained by itself, with the first visitor at the latest.");
	const own = stored?.source === "upload";
	return [
		h(
			"dl",
			{ class: "facts" },
			fact("State", WORDS[certificate.state]),
			fact("Reason", certificate.reason),
			fact("Next attempt", certificate.next_try_at && timeText(certificate.next_try_at)),
			fact("Issued by", own ? `${stored.issuer} (uploaded)` : (stored?.issuer ?? certificate.issuer)),
			fact("Valid from", stored && dateText(stored.not_before)),
			fact("Valid until", withDistance(certificate.not_after ?? stored?.not_after)),
			fact("Renewed", stored?.renew_at && `by itself, about ${dateText(stored.renew_at)}`),
			fact("Removed", stored?.removed_at && "served until another certificate is there"),
			fact("Serial number", stored?.serial),
		),
		waits && h("p", { class: "hint" }, waits),
		stored?.warning && h("p", { class: "notice warn" }, stored.warning),
	];
}

async function readFile(input, area) {
	const [file] = input.files;
	if (file) area.value = file.size > 60000 ? "" : await file.text();
}

function pemField(id, label, hint) {
	const area = h("textarea", {
		spellcheck: "false",
		autocapitalize: "none",
		autocomplete: "off",
		required: true,
		placeholder: "-----BEGIN …",
	});
	const file = h("input", {
		type: "file",
		accept: ".pem,.crt,.cer,.key,.txt",
		"aria-label": `File: ${label}`,
		onchange: () => readFile(file, area),
	});
	const made = field(id, label, area, hint);
	made.node.insertBefore(file, made.node.lastChild);
	return made;
}

export function uploadCertificate(domain, isOperator, done) {
	const fields = {
		chain: pemField(
			"chain",
			"Certificate and chain (PEM)",
			"The certificate first, then the intermediates. Wildcards are welcome.",
		),
		key: pemField("key", "Private key (PEM)", "It is sealed at once; nobody can read it back."),
		passphrase: field(
			"passphrase",
			"Passphrase of the key",
			h("input", { type: "password", autocomplete: "off" }),
			"Only if the key is encrypted.",
		),
	};
	const trouble = h("p", { class: "error", role: "alert" });
	const submit = h("button", { class: "button primary", type: "submit" }, "Upload");
	const form = h(
		"form",
		{
			novalidate: true,
			onsubmit: async (event) => {
				event.preventDefault();
				submit.disabled = true;
				trouble.textContent = "";
				Object.values(fields).forEach((each) => each.set(""));
				const body = { chain: fields.chain.input.value, key: fields.key.input.value };
				if (fields.passphrase.input.value) body.passphrase = fields.passphrase.input.value;
				if (isOperator) body.tenant = domain.tenant;
				try {
					await api("POST", "/v1/certificates", body);
					announce("Certificate uploaded");
					node.close();
					done();
				} catch (error) {
					const where = fields[error.field];
					if (where) {
						where.set(error.mend);
						where.input.focus();
					} else {
						trouble.textContent =
							error.status === 404 || error.status === 405
								? "This installation takes no certificates yet."
								: error.message;
					}
				} finally {
					submit.disabled = false;
				}
			},
		},
		Object.values(fields).map((each) => each.node),
		trouble,
		h(
			"div",
			{ class: "buttons" },
			button("Cancel", () => node.close(), { class: "button quiet" }),
			submit,
		),
	);
	const node = dialog(
		"Upload a certificate of your own",
		h(
			"p",
			{ class: "hint" },
			`For ${domain.unicode_name}, in place of the one that is obtained by itself. You renew it yourself.`,
		),
		form,
	);
}

export function removeUpload(stored, done) {
	const node = dialog(
		"Remove the uploaded certificate?",
		h("p", null, "A certificate is obtained by itself again, and served as soon as it is there."),
		h(
			"div",
			{ class: "buttons" },
			button("Keep it", () => node.close(), { class: "button" }),
			button(
				"Remove it",
				async () => {
					try {
						await api("DELETE", `/v1/certificates/${encodeURIComponent(stored.name)}`);
						node.close();
						done();
					} catch (error) {
						node.append(h("p", { class: "error", role: "alert" }, error.message));
					}
				},
				{ class: "button danger" },
			),
		),
	);
}

// null where there is none, or it cannot be had.
export function storedCertificate(domain) {
	return domain.certificate.state === "none"
		? Promise.resolve(null)
		: api("GET", `/v1/certificates/${encodeURIComponent(domain.name)}`).catch(() => null);
}
