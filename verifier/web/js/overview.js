// The operator's first look: how many domains, what fails and who can mend it, what the CAs leave, what comes, who lives.

import { api, domainLink } from "./api.js";
import { h, icon, section } from "./dom.js";
import { fromNow, timeText } from "./words.js";

const STATUSES = { active: "Active", pending: "Pending", drifted: "Drifted", suspended: "Suspended" };
const WHO = { customer: "The customer", operator: "You", ca: "The CA" };
const CEILINGS = {
	orders: "Orders of the account",
	domain: "Certificates of a domain",
	exact: "Certificates of one name",
	failures: "Failures of one name",
	accounts: "New accounts",
};
const FOR = { issuer: "an issuer’s time", budget: "the CA’s quota", ca: "the CA’s recovery" };
const count = (number) => Number(number).toLocaleString();

export function table(titles, rows, numbers = []) {
	return h(
		"div",
		{ class: "scroll" },
		h(
			"table",
			{ class: "cards" },
			h(
				"thead",
				null,
				h(
					"tr",
					null,
					titles.map((title, at) =>
						h("th", { scope: "col", class: numbers.includes(at) && "number" }, title),
					),
				),
			),
			h(
				"tbody",
				null,
				rows.map((cells) =>
					h(
						"tr",
						null,
						cells.map((cell, at) =>
							h(
								"td",
								{ class: numbers.includes(at) && "number", "data-label": titles[at] },
								cell instanceof Node ? cell : h("span", null, cell),
							),
						),
					),
				),
			),
		),
	);
}

const panel = (title, hint, ...children) =>
	h(
		"section",
		{ class: "panel", "aria-label": title },
		h("h2", null, title),
		hint && h("p", { class: "hint" }, hint),
		...children,
	);

function tiles(domains) {
	return h(
		"div",
		{ class: "tiles" },
		Object.entries(STATUSES).map(([status, title]) =>
			h(
				"a",
				{ class: "tile", href: `#/domains?status=${status}` },
				h("strong", null, count(domains[status] ?? 0)),
				h("span", null, title),
			),
		),
	);
}

function failures(list) {
	if (!list.length)
		return panel(
			"Failures",
			null,
			h("div", { class: "done" }, icon("check"), h("p", null, "No name fails.")),
		);
	return panel(
		"Failures",
		"Names whose certificate cannot be issued, by cause.",
		table(
			["Cause", "Who can mend it", "Names", "Failed last"],
			list.map((each) => [
				each.cause.replace(/_/g, " "),
				WHO[each.who] ?? each.who,
				count(each.count),
				h(
					"span",
					{ class: "names" },
					each.names.map((name) => h("a", { href: domainLink({ name }) }, name)),
				),
			]),
			[2],
		),
	);
}

function meter(left, capacity) {
	const share = capacity ? Math.max(0, Math.min(1, left / capacity)) : 1;
	const fill = h("span", null);
	fill.style.width = `${Math.round(share * 100)}%`;
	return h(
		"span",
		null,
		capacity ? `${count(left)} of ${count(capacity)} left` : `${count(left)} left`,
		h("span", { class: "meter", data: { tone: share < 0.1 ? "bad" : share < 0.3 ? "wait" : "" } }, fill),
	);
}

function budget(list) {
	const hosts = (directory) => {
		try {
			return new URL(directory).host;
		} catch {
			return directory;
		}
	};
	if (!list.length)
		return panel("Quota at the CAs", null, h("p", { class: "hint" }, "Nothing of it is used."));
	return panel(
		"Quota at the CAs",
		"What is used now. It fills again with time.",
		table(
			["CA", "Limit", "Left", "Whole again"],
			list.map((each) => [
				hosts(each.directory),
				`${CEILINGS[each.ceiling] ?? each.ceiling}${each.key ? `: ${each.key}` : ""}`,
				meter(each.left, each.capacity),
				each.closed_until
					? `closed by the CA, opens ${fromNow(each.closed_until)}`
					: fromNow(each.whole_again_at),
			]),
		),
	);
}

function waiting(list) {
	if (!list.length) return null;
	return panel(
		"Waiting",
		"Certificates that wait for their turn, most urgent first.",
		table(
			["Lane", "For", "Names", "The last one’s turn"],
			list.map((each) => [
				each.lane,
				FOR[each.for] ?? each.for ?? "",
				count(each.jobs),
				each.last_at ? fromNow(each.last_at) : "",
			]),
			[2],
		),
	);
}

function renewals(list) {
	const most = Math.max(1, ...list.map((each) => each.count));
	return panel(
		"Renewals this week",
		null,
		h(
			"ol",
			{ class: "bars" },
			list.map((each) => {
				const bar = h("span", { class: "bar" });
				bar.style.height = `${Math.round((each.count / most) * 100)}%`;
				return h(
					"li",
					null,
					h("span", { class: "column", "aria-hidden": "true" }, bar),
					h("strong", null, count(each.count)),
					new Date(`${each.day.slice(0, 10)}T12:00:00`).toLocaleDateString(undefined, {
						weekday: "short",
						day: "numeric",
					}),
				);
			}),
		),
	);
}

function nodes(list) {
	return panel(
		"Nodes",
		null,
		table(
			["Process", "Role", "Version", "State", "Started"],
			list.map((each) => [
				each.id,
				each.role,
				each.version ?? "",
				h(
					"span",
					{ class: "pill", data: { tone: each.alive ? "good" : "bad" } },
					icon(each.alive ? "check" : "alert"),
					each.alive ? "Alive" : `Silent for ${fromNow(each.seen_at).replace(" ago", "")}`,
				),
				timeText(each.started_at),
			]),
		),
	);
}

export function overviewPage() {
	const body = h("div", null);
	const show = section(body, (data) => [
		tiles(data.domains),
		failures(data.failures),
		waiting(data.waiting),
		budget(data.budget),
		renewals(data.renewals),
		nodes(data.nodes),
	]);
	return {
		node: h("div", null, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, "Overview")), body),
		title: "Overview",
		refresh: async () => show(await api("GET", "/v1/overview")),
		every: () => 15000,
	};
}
