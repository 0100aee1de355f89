// Explain a host name: all that is known of it, as the API tells it.

import { lookNodes } from "./advice.js";
import { api } from "./api.js";
import { breakable, field, h, section } from "./dom.js";
import { table } from "./overview.js";
import { timeText, whoActs } from "./words.js";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const words = (key) => (key.charAt(0).toUpperCase() + key.slice(1)).replace(/_/g, " ");
const isEmpty = (value) =>
	value === null ||
	value === undefined ||
	value === "" ||
	(typeof value === "object" && Object.keys(value).length === 0);

function valueNode(value) {
	if (isEmpty(value)) return h("span", { class: "hint" }, "none");
	if (
		Array.isArray(value) &&
		value.every((each) => each && typeof each === "object" && !Array.isArray(each))
	) {
		const keys = [...new Set(value.flatMap(Object.keys))];
		return table(
			keys.map(words),
			value.map((row) => keys.map((key) => valueNode(row[key]))),
		);
	}
	if (Array.isArray(value))
		return h(
			"span",
			null,
			value.map((each) => h("span", null, valueNode(each), " ")),
		);
	if (typeof value === "object")
		return h(
			"dl",
			{ class: "facts" },
			Object.entries(value).map(([key, each]) => [h("dt", null, words(key)), h("dd", null, valueNode(each))]),
		);
	if (typeof value === "boolean") return h("span", null, value ? "yes" : "no");
	return h("span", null, TIME.test(value) ? timeText(value) : breakable(String(value)));
}

export function explainPage(context, name) {
	const body = h("div", null);
	const input = field(
		"explain-name",
		"Host name",
		h("input", {
			type: "text",
			inputmode: "url",
			autocomplete: "off",
			autocapitalize: "none",
			spellcheck: "false",
			placeholder: "shop.client-brand.com",
			value: name ?? "",
		}),
		"Why does this name work, or why not?",
	);
	const panel = (title, ...nodes) =>
		h("section", { class: "panel", "aria-label": title }, h("h2", null, title), nodes);
	const show = section(body, ({ name: _, summary, dns, ...rest }) => [
		panel(
			"In short",
			h("p", null, summary.text),
			h("p", { class: "who" }, whoActs(summary.who, context.session.scope === "operator")),
		),
		dns && panel("DNS now", lookNodes(dns, true)),
		Object.entries(rest)
			.filter(([, value]) => !isEmpty(value))
			.map(([key, value]) => panel(words(key), valueNode(value))),
	]);
	const form = h(
		"form",
		{
			class: "panel",
			novalidate: true,
			onsubmit: (event) => {
				event.preventDefault();
				const wanted = `#/explain/${encodeURIComponent(input.input.value.trim())}`;
				if (location.hash === wanted) context.refresh();
				else location.hash = wanted;
			},
		},
		input.node,
		h("div", { class: "buttons" }, h("button", { class: "button primary", type: "submit" }, "Explain")),
	);

	async function refresh() {
		if (!name) return;
		try {
			show(await api("GET", `/v1/explain/${encodeURIComponent(name)}`));
			input.set("");
		} catch (error) {
			if (![400, 404].includes(error.status)) throw error;
			input.set(error.mend);
		}
	}
	// Not again by itself: each time the DNS is asked for it.
	return {
		node: h(
			"div",
			null,
			h(
				"div",
				{ class: "page-head" },
				h("h1", { tabindex: "-1" }, name ? `Explain ${name}` : "Explain a name"),
			),
			form,
			body,
		),
		title: "Explain",
		refresh,
	};
}
