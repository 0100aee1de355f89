// “Send these instructions”: a mail to whoever looks after the DNS.

import { copyButton } from "./copy.js";
import { button, dialog, h } from "./dom.js";
import { fieldWords, typedName } from "./records.js";
import { brandName } from "./words.js";

function recordText(domain, record, number) {
	const words = fieldWords(domain);
	const typed = typedName(domain, record.name);
	return [
		`${number}. ${record.type} record`,
		`   Type:  ${record.type}`,
		`   ${words.name}:  ${typed}${typed === record.name ? "" : `   (in full: ${record.name})`}`,
		`   ${words.value}:  ${record.value}`,
		...(record.note ? [`   ${record.note}`] : []),
	].join("\n");
}

// What is still to be taken away, which no list of records says.
function removals(domain) {
	const records = (domain.last_check?.verdicts ?? []).filter(
		(each) => each.state === "act" && each.record?.action === "remove",
	);
	return records.map(
		({ record }) =>
			`- ${record.type} record ${record.name} with the value ${record.value || record.found.join(", ")}`,
	);
}

export function mailText(domain) {
	const provider = domain.last_check?.provider;
	const gone = removals(domain);
	const wanted = domain.records.filter((record) => !record.optional);
	const lasting = domain.records.filter((record) => record.optional);
	return [
		"Hello,",
		`please add these DNS records for ${domain.unicode_name}, which is to be served by ${brandName()}.` +
			(provider ? ` Its DNS is at ${provider.title} (zone ${provider.zone}).` : ""),
		...wanted.map((record, index) => recordText(domain, record, index + 1)),
		...(gone.length ? [`Please delete:\n${gone.join("\n")}`] : []),
		...(lasting.length
			? [
					"Optional, so that the certificate can be issued before the switch:",
					...lasting.map((record, index) => recordText(domain, record, wanted.length + index + 1)),
				]
			: []),
		"Please copy names and values exactly as they are. They are found by themselves within minutes of being published; the TXT record has to stay.",
		"Thank you!",
	].join("\n\n");
}

export function sendInstructions(domain) {
	const text = mailText(domain);
	const subject = `DNS records for ${domain.unicode_name}`;
	const area = h("textarea", { class: "mail", id: "mail-text", readonly: true, value: text });
	const node = dialog(
		"Send these instructions",
		h("p", { class: "hint" }, "To whoever looks after the DNS of the domain."),
		h("div", { class: "field" }, h("label", { for: "mail-text" }, "Text of the mail"), area),
		h(
			"div",
			{ class: "buttons" },
			button("Close", () => node.close(), { class: "button quiet" }),
			copyButton(text, "text of the mail", null, "button"),
			h(
				"a",
				{
					class: "button primary",
					href: `mailto:?subject=${encodeURIComponent(subject)}&body=${encodeURIComponent(text.replace(/\n/g, "\r\n"))}`,
				},
				"Open in a mail program",
			),
		),
	);
}
