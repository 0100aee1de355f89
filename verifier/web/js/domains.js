// The list of domains, and adding one.

import { api, domainLink, query } from "./api.js";
import { announce, button, field, h, icon, section } from "./dom.js";
import { dateText, isBusy, nextCheck, pill } from "./words.js";

const PAGE = 50;
const STATUSES = ["pending", "active", "drifted", "suspended", "released"];

function subline(domain, isOperator) {
	const parts = [];
	if (isOperator) parts.push(domain.tenant);
	if (domain.name !== domain.unicode_name) parts.push(domain.name);
	if (domain.certificate.state === "issued")
		parts.push(`certificate until ${dateText(domain.certificate.not_after)}`);
	return parts.join(" · ");
}

function rowNode(domain, isOperator) {
	return h(
		"li",
		{ data: { name: domain.name, state: domain.state.code } },
		h(
			"a",
			{ href: domainLink(domain), data: { key: `${domain.tenant}/${domain.name}` } },
			h("span", { class: "name" }, domain.unicode_name, h("small", null, subline(domain, isOperator))),
			pill(domain),
		),
	);
}

function addForm(operator) {
	const name = field(
		"name",
		"Add a domain",
		h("input", {
			type: "text",
			inputmode: "url",
			autocomplete: "off",
			autocapitalize: "none",
			spellcheck: "false",
			placeholder: "shop.client-brand.com",
		}),
		"You get the DNS records to publish. From then on they are checked by themselves.",
	);
	const tenant = field(
		"tenant",
		"Tenant",
		h("input", {
			type: "text",
			autocomplete: "off",
			autocapitalize: "none",
			spellcheck: "false",
			placeholder: "default",
		}),
	);
	const submit = h("button", { class: "button primary", type: "submit" }, "Add domain");
	return h(
		"form",
		{
			class: "panel",
			novalidate: true,
			onsubmit: async (event) => {
				event.preventDefault();
				submit.disabled = true;
				name.set("");
				tenant.set("");
				const body = { name: name.input.value.trim() };
				if (operator && tenant.input.value.trim()) body.tenant = tenant.input.value.trim();
				try {
					const domain = await api("POST", "/v1/domains", body);
					announce(`${domain.unicode_name} added. Its DNS records follow.`);
					location.hash = domainLink(domain);
				} catch (error) {
					const where = error.field === "tenant" && operator ? tenant : name;
					where.set(error.mend);
					where.input.focus();
				} finally {
					submit.disabled = false;
				}
			},
		},
		name.node,
		operator && tenant.node,
		h("div", { class: "buttons" }, submit),
	);
}

export function domainsPage(context, _, parameters) {
	const operator = context.session.scope === "operator";
	let domains = [];
	let pages = 1;
	let timer = 0;
	const list = h("div", null);
	const more = button(
		"Show more",
		() => {
			pages++;
			context.refresh();
		},
		{ hidden: true },
	);
	const search = h("input", {
		type: "search",
		id: "search",
		autocomplete: "off",
		autocapitalize: "none",
		spellcheck: "false",
		value: parameters.get("search") ?? "",
		oninput: () => {
			clearTimeout(timer);
			timer = setTimeout(() => {
				pages = 1;
				context.refresh();
			}, 250);
		},
	});
	const status = h(
		"select",
		{
			id: "status",
			onchange: () => {
				pages = 1;
				context.refresh();
			},
		},
		h("option", { value: "" }, "All but released"),
		STATUSES.map((each) => h("option", { value: each }, each.charAt(0).toUpperCase() + each.slice(1))),
	);
	status.value = parameters.get("status") ?? "";
	const filters = h(
		"div",
		{ class: "row panel", role: "search", hidden: !operator },
		h("div", { class: "field grow" }, h("label", { for: "search" }, "Search"), search),
		operator && h("div", { class: "field" }, h("label", { for: "status" }, "Status"), status),
	);
	const trouble = h("p", { class: "error", role: "alert" });

	const show = section(list, ([rows, filtered]) =>
		rows.length
			? [
					h(
						"ul",
						{ class: "panel list domains", role: "list" },
						rows.map((domain) => rowNode(domain, operator)),
					),
				]
			: [
					h(
						"div",
						{ class: "empty panel" },
						icon("globe"),
						h(
							"p",
							null,
							filtered ? "No domain is called like that." : "No domains yet. Add the first one above.",
						),
					),
				],
	);

	async function refresh() {
		const asked = { search: search.value.trim(), status: status.value, tenant: parameters.get("tenant") };
		const found = [];
		let cursor = null;
		try {
			for (let page = 0; page < pages; page++) {
				const answer = await api("GET", `/v1/domains${query({ ...asked, limit: String(PAGE), cursor })}`);
				found.push(...answer.domains);
				cursor = answer.next;
				if (!cursor) break;
			}
			trouble.textContent = "";
		} catch (error) {
			if (error.field !== "search") throw error;
			trouble.textContent = error.mend;
		}
		if (asked.search !== search.value.trim() || asked.status !== status.value) return;
		domains = found;
		more.hidden = !cursor;
		if (domains.length > 8 || asked.search) filters.hidden = false;
		show([
			domains.map(({ next_check_at: next, last_check: check, ...rest }) => rest),
			Boolean(asked.search || asked.status),
		]);
	}

	const title = parameters.get("tenant") && operator ? `Domains of ${parameters.get("tenant")}` : "Domains";
	const node = h(
		"div",
		null,
		h(
			"div",
			{ class: "page-head" },
			h(
				"div",
				null,
				h("h1", { tabindex: "-1" }, title),
				h(
					"p",
					{ class: "lead" },
					operator
						? "All claims of all tenants."
						: "Your own domains, with a certificate each, served by us.",
				),
			),
		),
		addForm(operator),
		filters,
		trouble,
		list,
		more,
	);
	return {
		node,
		title,
		refresh,
		every: () => (domains.some((domain) => isBusy(domain) && nextCheck(domain)) ? 4000 : 20000),
	};
}
