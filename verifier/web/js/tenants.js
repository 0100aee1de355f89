// The operator's tenants: who they are, what they may have, and a link into the portal of each.

import { api, query } from "./api.js";
import { copyButton } from "./copy.js";
import { announce, button, dialog, field, h, section } from "./dom.js";
import { table } from "./overview.js";
import { dateText } from "./words.js";

function showLink(made) {
	const code = h("code", null, made.url);
	const node = dialog(
		`Portal of ${made.tenant}`,
		h(
			"p",
			{ class: "hint" },
			"Opens this tenant’s portal once, within five minutes. Whoever has it is let in: send it to nobody else.",
		),
		h("p", { class: "record" }, code),
		h(
			"div",
			{ class: "buttons" },
			button("Close", () => node.close(), { class: "button quiet" }),
			copyButton(made.url, "portal link", code, "button primary"),
		),
	);
}

export function tenantsPage(context) {
	const body = h("div", null);
	const trouble = h("p", { class: "error", role: "alert" });
	const more = button(
		"Show more",
		() => {
			pages++;
			context.refresh();
		},
		{ hidden: true },
	);
	let pages = 1;
	const id = field(
		"id",
		"New tenant",
		h("input", {
			type: "text",
			autocomplete: "off",
			autocapitalize: "none",
			spellcheck: "false",
			placeholder: "brand-7",
		}),
		"a-z 0-9 _ -, as your own system calls it.",
	);
	const title = field(
		"tenant-title",
		"Name",
		h("input", { type: "text", autocomplete: "off", placeholder: "Brand Seven" }),
		"As the customer sees it in the portal.",
	);

	const attempt = async (what) => {
		trouble.textContent = "";
		try {
			return await what();
		} catch (error) {
			if (!context.endsSession(error)) trouble.textContent = error.message;
			return null;
		}
	};
	const openPortal = async (tenant) => {
		const made = await attempt(() => api("POST", "/v1/portal-links", { tenant }));
		if (made) showLink(made);
	};
	const endSessions = async (tenant) => {
		await attempt(() => api("DELETE", `/v1/portal-links${query({ tenant })}`));
		announce(`Portal sessions of ${tenant} ended`);
	};
	const show = section(body, (tenants) => [
		table(
			["Tenant", "Name", "Domains", "At most", "Since", "Portal"],
			tenants.map((each) => [
				h("a", { href: `#/domains${query({ tenant: each.id })}` }, each.id),
				each.title ?? "",
				String(each.domains),
				each.max_domains === null ? "as set" : String(each.max_domains),
				dateText(each.created_at),
				h(
					"span",
					{ class: "names" },
					button("Link", () => openPortal(each.id), {
						class: "copy",
						"aria-label": `Portal link for ${each.id}`,
						data: { key: `link ${each.id}` },
					}),
					button("End sessions", () => endSessions(each.id), {
						class: "copy",
						"aria-label": `End portal sessions of ${each.id}`,
						data: { key: `end ${each.id}` },
					}),
				),
			]),
			[2, 3],
		),
	]);

	async function refresh() {
		const found = [];
		let cursor = null;
		for (let page = 0; page < pages; page++) {
			const answer = await api("GET", `/v1/tenants${query({ limit: "100", cursor })}`);
			found.push(...answer.tenants);
			cursor = answer.next;
			if (!cursor) break;
		}
		more.hidden = !cursor;
		show(found);
	}

	const form = h(
		"form",
		{
			class: "panel",
			novalidate: true,
			onsubmit: async (event) => {
				event.preventDefault();
				id.set("");
				title.set("");
				try {
					await api("POST", "/v1/tenants", {
						id: id.input.value.trim(),
						...(title.input.value.trim() && { title: title.input.value.trim() }),
					});
					announce(`Tenant ${id.input.value.trim()} made`);
					id.input.value = title.input.value = "";
					context.refresh();
				} catch (error) {
					(error.field === "title" ? title : id).set(error.mend);
				}
			},
		},
		id.node,
		title.node,
		h("div", { class: "buttons" }, h("button", { class: "button primary", type: "submit" }, "Make tenant")),
	);
	return {
		node: h(
			"div",
			null,
			h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, "Tenants")),
			h("section", { class: "panel", "aria-label": "All tenants" }, body, trouble, more),
			form,
		),
		title: "Tenants",
		refresh,
		every: () => 30000,
	};
}
