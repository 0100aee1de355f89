// The records that a customer publishes, in the words of his DNS provider.

import { copyButton } from "./copy.js";
import { breakable, h, icon } from "./dom.js";

const PURPOSES = {
	ownership: ["Proves that the domain is yours", "Leave it in place: we look at it from time to time."],
	routing: ["Brings your visitors here", "It takes the place of other records of this name."],
	issuance: [
		"Lets certificates be issued for good",
		"Optional. With this record the certificate no longer depends on where the domain leads: " +
			"it can be issued before you switch over, so that the switch is without interruption, and it is renewed for as long as the record stays.",
	],
};

const required = (domain) => domain.records.filter((record) => !record.optional);
const providerOf = (domain) => domain.last_check?.provider ?? null;

// What to type into the provider's field for the name.
export function typedName(domain, name) {
	const provider = providerOf(domain);
	const zone = provider?.zone;
	if (provider?.names?.[name]) return provider.names[name];
	return zone && name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1) : name;
}

export const fieldWords = (domain) => providerOf(domain)?.fields ?? { name: "Name", value: "Value" };

function stateOf(domain, record) {
	const verdicts = domain.last_check?.verdicts ?? [];
	if (record.purpose === "ownership")
		return domain.last_check?.outcome === "verified" || verdicts.some((each) => each.code === "txt_ok")
			? ["good", "In place"]
			: domain.status === "pending"
				? ["wait", "Not there yet"]
				: null;
	if (record.purpose === "routing")
		return domain.points_here === true
			? ["good", "In place"]
			: domain.points_here === false
				? ["wait", "Not there yet"]
				: null;
	return ["calm", "Optional"];
}

// One field of a record, with a button that copies it.
export function valueRow(label, text, what, whole) {
	const code = h("code", null, breakable(text));
	return h(
		"div",
		null,
		h("dt", null, label),
		h(
			"dd",
			null,
			h("span", null, code, whole && whole !== text && h("span", { class: "whole" }, `in full: ${whole}`)),
			what && copyButton(text, what, code),
		),
	);
}

export function recordNode(domain, record) {
	const words = fieldWords(domain);
	const [title, why] = PURPOSES[record.purpose] ?? ["", ""];
	const state = stateOf(domain, record);
	const what = `${record.type} record${record.optional ? " (optional)" : ""}`;
	return h(
		"li",
		{ class: "record", data: { purpose: record.purpose ?? "", type: record.type } },
		h(
			"div",
			{ class: "record-head" },
			h("h3", null, `${record.type} record`),
			state &&
				h(
					"span",
					{ class: "pill", data: { tone: state[0] } },
					icon({ good: "check", wait: "clock" }[state[0]] ?? "info"),
					state[1],
				),
		),
		title && h("p", { class: "why" }, h("strong", null, `${title}. `), why),
		h(
			"dl",
			{ class: "values" },
			valueRow("Type", record.type, `type of the ${what}`),
			valueRow(words.name, typedName(domain, record.name), `name of the ${what}`, record.name),
			valueRow(words.value, record.value, `value of the ${what}`),
		),
		record.note && h("p", { class: "why" }, record.note),
	);
}

export function providerNode(domain) {
	const provider = providerOf(domain);
	if (!provider) return null;
	return h(
		"div",
		{ class: "provider" },
		icon("info"),
		h(
			"div",
			null,
			h(
				"p",
				null,
				"The DNS of ",
				h("strong", null, provider.zone),
				" is at ",
				h("strong", null, provider.title),
				`. There the fields are called “${provider.fields.name}” and “${provider.fields.value}”: what is below is what to type into them.`,
			),
			provider.hint && h("p", null, provider.hint),
		),
	);
}

export function recordsNodes(domain) {
	const lasting = domain.records.filter((record) => record.optional);
	return [
		providerNode(domain),
		h(
			"ul",
			{ class: "records" },
			required(domain).map((record) => recordNode(domain, record)),
		),
		lasting.length
			? h(
					"details",
					{ data: { key: "lasting" } },
					h("summary", null, "Switch over without interruption (optional)"),
					h(
						"p",
						{ class: "hint" },
						"If the domain is in use elsewhere now: add this record first and point the domain here only when the certificate is there.",
					),
					h(
						"ul",
						{ class: "records" },
						lasting.map((record) => recordNode(domain, record)),
					),
				)
			: null,
	];
}
