// What happened to a domain, newest first.

import { h, icon } from "./dom.js";
import { fromNow, timeText } from "./words.js";

const EVENTS = {
	added: ["dot", "Added"],
	imported: ["dot", "Brought along from another system"],
	verified: ["check", "Proven to be yours"],
	drifted: ["alert", "Its DNS has changed"],
	recovered: ["check", "Its DNS is right again"],
	suspended: ["stop", "Suspended"],
	resumed: ["check", "Served again"],
	released: ["stop", "Removed"],
	deleted: ["stop", "Removed"],
	taken_over: ["stop", "Proven by somebody else"],
	options_changed: ["dot", "Settings changed"],
	certificate_uploaded: ["check", "Certificate uploaded"],
	certificate_removed: ["dot", "Uploaded certificate removed"],
	certificate_expiring: ["alert", "The uploaded certificate expires soon"],
	certificate_expired: ["alert", "The uploaded certificate has expired"],
	renewal_forced: ["dot", "Another certificate ordered"],
};

function whoDid(actor) {
	if (actor === "poller") return "by itself";
	if (actor.startsWith("portal:")) return "in the portal";
	if (actor.startsWith("token:")) return "by the API";
	return actor === "dashboard" || actor === "admin-token" ? "by the operator" : actor;
}

function eventNode(event) {
	const [picture, words] = EVENTS[event.event] ?? ["dot", event.event.replace(/[._]/g, " ")];
	return h(
		"li",
		null,
		icon(picture),
		h(
			"div",
			null,
			h("p", null, h("strong", null, words), ` ${whoDid(event.actor)}`),
			event.detail && event.event !== "options_changed" && h("p", { class: "hint" }, event.detail),
			h(
				"p",
				{ class: "hint small" },
				h("time", { datetime: event.at, title: fromNow(event.at) }, timeText(event.at)),
			),
		),
	);
}

export function historyNodes(events) {
	return [
		events.length
			? h("ol", { class: "timeline" }, events.map(eventNode))
			: h("p", { class: "hint" }, "Nothing yet."),
	];
}
