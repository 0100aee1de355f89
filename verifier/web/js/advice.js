// What DNS says about a domain, and who has to do what: the verdicts, worst first.

import { breakable, h, icon } from "./dom.js";
import { fieldWords, typedName, valueRow } from "./records.js";
import { stateOf, timeText, toneIcon, verdictTone, whoActs } from "./words.js";

const ACTIONS = { add: "Add this record", change: "It should be", remove: "Delete this record" };

function wantedNode(domain, record) {
	const words = fieldWords(domain);
	const name = typedName(domain, record.name);
	const row = (label, text, part) =>
		valueRow(label, text, record.action === "remove" ? null : `wanted ${part} of the ${record.type} record`);
	return h(
		"div",
		{ class: "wanted" },
		h("h4", null, ACTIONS[record.action]),
		h(
			"dl",
			{ class: "values" },
			row("Type", record.type, "type"),
			row(words.name, name, "name"),
			record.value ? row(words.value, record.value, "value") : null,
		),
	);
}

function compareNode(domain, record) {
	return h(
		"div",
		{ class: "compare" },
		wantedNode(domain, record),
		record.found.length > 0 &&
			h(
				"div",
				{ class: "found" },
				h("h4", null, "What is there now"),
				record.found.slice(0, 8).map((text) => h("code", null, breakable(text))),
			),
	);
}

// It stands below, among the records, and nothing else is in its place.
function isListed(domain, wanted) {
	return (
		wanted.action === "add" &&
		wanted.found.length === 0 &&
		domain.records.some((record) => record.name === wanted.name && record.value === wanted.value)
	);
}

function verdictNode(domain, verdict, isOperator) {
	const tone = verdictTone(verdict);
	return h(
		"li",
		{ data: { tone, code: verdict.code } },
		icon(toneIcon(tone)),
		h(
			"div",
			{ class: "advice-body" },
			h(
				"div",
				{ class: "advice-head" },
				h("h3", null, verdict.title ?? verdict.summary),
				verdict.state !== "ok" && h("span", { class: "who" }, whoActs(verdict.who, isOperator)),
			),
			verdict.title && h("p", null, verdict.summary),
			verdict.mend && h("p", { class: "mend" }, verdict.mend),
			verdict.record && !isListed(domain, verdict.record) && compareNode(domain, verdict.record),
		),
	);
}

// Trouble that no look at DNS explains: the issuer's or the operator's.
function otherTrouble(domain, isOperator) {
	const certificate = domain.certificate;
	const item = (tone, title, text) =>
		h(
			"li",
			{ data: { tone } },
			icon(toneIcon(tone)),
			h(
				"div",
				{ class: "advice-body" },
				h(
					"div",
					{ class: "advice-head" },
					h("h3", null, title),
					h("span", { class: "who" }, whoActs(domain.state.who, isOperator)),
				),
				h("p", null, text),
			),
		);
	if (domain.status === "suspended")
		return item(
			"bad",
			domain.state.title,
			domain.suspended_by === "operator"
				? "The domain is not served until this suspension is lifted."
				: "Publish the records again: the domain is served again as soon as they are found.",
		);
	if (certificate.state === "failed" && certificate.reason)
		return item(
			"bad",
			"The certificate could not be issued",
			certificate.reason +
				(certificate.next_try_at ? ` Next attempt: ${timeText(certificate.next_try_at)}.` : ""),
		);
	return null;
}

function openVerdicts(domain) {
	const order = { act: 0, wait: 1, unknown: 2 };
	return (domain.last_check?.verdicts ?? [])
		.filter((each) => each.state !== "ok")
		.sort((one, other) => order[one.state] - order[other.state]);
}

// What a look at DNS says, for who asks about the name and not about a domain's records.
export function lookNodes(look, isOperator) {
	const domain = { records: [], last_check: look };
	const verdicts = look.verdicts ?? [];
	const shown = openVerdicts(domain).concat(verdicts.filter((each) => each.state === "ok"));
	return [
		h(
			"ul",
			{ class: "advice" },
			shown.map((each) => verdictNode(domain, each, isOperator)),
		),
		serversNode(domain),
	];
}

export function adviceNodes(domain, isOperator) {
	const open = openVerdicts(domain);
	const other = otherTrouble(domain, isOperator);
	if (open.length || other)
		return [
			h(
				"ul",
				{ class: "advice" },
				other,
				open.map((each) => verdictNode(domain, each, isOperator)),
			),
		];
	const state = stateOf(domain);
	if (domain.state.code === "live" || (domain.status === "active" && domain.points_here))
		return [
			h(
				"div",
				{ class: "done" },
				icon("check"),
				h(
					"div",
					null,
					h("h3", null, "Everything is in place"),
					h(
						"p",
						{ class: "hint" },
						domain.state.code === "live"
							? "Nothing is left to do."
							: `${state.title}. Nothing is left to do for you.`,
					),
				),
			),
		];
	if (!domain.last_check)
		return [
			h(
				"p",
				{ class: "hint" },
				"The first look at the DNS is under way. Add the records below in the meantime.",
			),
		];
	return [
		h(
			"ul",
			{ class: "advice" },
			h(
				"li",
				{ data: { tone: state.tone } },
				icon(state.icon),
				h(
					"div",
					{ class: "advice-body" },
					h(
						"div",
						{ class: "advice-head" },
						h("h3", null, state.title),
						h("span", { class: "who" }, whoActs(state.who, isOperator)),
					),
					domain.last_check.detail && h("p", null, domain.last_check.detail),
				),
			),
		),
	];
}

// What each authoritative server answered, for whoever has to find out why they differ.
export function serversNode(domain) {
	const servers = domain.last_check?.servers ?? [];
	if (!servers.length) return null;
	const list = (values) => (Array.isArray(values) ? values.join("\n") : values) || "—";
	const cell = (label, text) => h("td", { "data-label": label }, h("code", null, text));
	return h(
		"details",
		{ data: { key: "servers" } },
		h("summary", null, "What each name server answers"),
		h(
			"div",
			{ class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers of the name servers" },
			h(
				"table",
				{ class: "cards" },
				h(
					"thead",
					null,
					h(
						"tr",
						null,
						["Server", "TXT", "CNAME", "A", "AAAA"].map((text) => h("th", { scope: "col" }, text)),
					),
				),
				h(
					"tbody",
					null,
					servers.map((server) =>
						h(
							"tr",
							null,
							h(
								"td",
								{ "data-label": "Server" },
								h("span", null, h("strong", null, server.name), " ", server.address),
							),
							server.error
								? h("td", { colspan: "4", "data-label": "Trouble" }, server.error)
								: [
										cell("TXT", list(server.txt)),
										cell("CNAME", list(server.cname)),
										cell("A", list(server.a)),
										cell("AAAA", list(server.aaaa)),
									],
						),
					),
				),
			),
		),
	);
}
