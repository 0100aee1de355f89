// One domain's page: how far it is, what to do now, its records, certificate and history. Asks again by itself.

import { adviceNodes, serversNode } from "./advice.js";
import { api, domainPath, query } from "./api.js";
import { certificateNodes, removeUpload, storedCertificate, uploadCertificate } from "./certificate.js";
import { announce, button, dialog, h, icon, section } from "./dom.js";
import { historyNodes } from "./history.js";
import { sendInstructions } from "./mail.js";
import { recordsNodes } from "./records.js";
import { fromNow, isBusy, nextCheck, pill, stateOf, toneIcon, verdictTone, whoActs } from "./words.js";

const STEPS = { ownership: "Ownership", routing: "Routing", certificate: "Certificate" };

function stepOf(domain, step) {
	const certificate = domain.certificate;
	const verdict = (domain.last_check?.verdicts ?? []).find(
		(each) => each.step === step && each.state !== "ok",
	);
	if (step === "certificate" && certificate.state === "issued") return ["good", "Valid"];
	if (step === "certificate" && certificate.state === "issuing") return ["wait", "Being obtained …"];
	if (step === "certificate" && certificate.state === "failed") return ["bad", "Could not be obtained"];
	if (step === "ownership" && ["active", "drifted"].includes(domain.status) && !verdict)
		return ["good", "Proven"];
	if (step === "routing" && domain.points_here === true && verdict?.state !== "act")
		return ["good", "Leads here"];
	if (verdict) return [verdictTone(verdict), verdict.title ?? verdict.summary];
	return step === "certificate" ? ["", "Comes by itself"] : ["", "Not known yet"];
}

function headNodes(domain, isOperator) {
	const state = stateOf(domain);
	return [
		h("div", { class: "status" }, pill(domain), h("span", null, whoActs(state.who, isOperator))),
		h(
			"ol",
			{ class: "steps", "aria-label": "Progress" },
			Object.entries(STEPS).map(([step, title]) => {
				const [tone, text] = stepOf(domain, step);
				return h(
					"li",
					{ data: { step, tone } },
					h("span", { class: "step-title" }, icon(tone ? toneIcon(tone) : "dot"), title),
					h("span", { class: "step-text" }, text),
				);
			}),
		),
	];
}

function confirmRemoval(domain) {
	const trouble = h("p", { class: "error", role: "alert" });
	const node = dialog(
		`Remove ${domain.unicode_name}?`,
		h(
			"p",
			null,
			"It stops being served within seconds. To bring it back, it must be added and proven again.",
		),
		trouble,
		h(
			"div",
			{ class: "buttons" },
			button("Keep it", () => node.close()),
			button(
				"Remove domain",
				async () => {
					try {
						await api("DELETE", domainPath(domain));
						node.close();
						announce(`${domain.unicode_name} removed`);
						location.hash = "#/domains";
					} catch (error) {
						trouble.textContent = error.message;
					}
				},
				{ class: "button danger" },
			),
		),
	);
}

export function domainPage(context, name, parameters) {
	const path = { name, tenant: parameters.get("tenant") };
	const operator = context.session.scope === "operator";
	let domain = null;
	let changes = "";
	const parts = {};
	for (const part of ["head", "advice", "servers", "records", "certificate", "history", "danger"])
		parts[part] = h("div", null);
	const live = h("p", { id: "live" });
	const trouble = h("p", { class: "error", role: "alert" });
	const check = button("Check again", verify, { class: "button primary", data: { key: "check" } });
	const title = h("h1", { tabindex: "-1" }, name);
	const upload = button("Upload a certificate of your own", () => uploadCertificate(domain, operator, look));
	const certificateButtons = h("div", { class: "buttons" }, upload);

	const node = h(
		"div",
		null,
		h("a", { class: "back", href: "#/domains" }, icon("back"), "All domains"),
		title,
		parts.head,
		h(
			"section",
			{ class: "panel", "aria-labelledby": "now-title" },
			h("h2", { id: "now-title" }, "What to do now"),
			parts.advice,
			h("div", { class: "live" }, live, check),
			trouble,
			parts.servers,
		),
		h(
			"section",
			{ class: "panel", id: "records", "aria-labelledby": "records-title" },
			h(
				"div",
				{ class: "panel-head" },
				h("h2", { id: "records-title" }, "DNS records"),
				h(
					"button",
					{ type: "button", class: "button", onclick: () => sendInstructions(domain) },
					icon("mail"),
					"Send these instructions",
				),
			),
			h("p", { class: "hint" }, "Add these at the DNS provider of the domain, exactly as they are."),
			parts.records,
		),
		h(
			"section",
			{ class: "panel", "aria-labelledby": "certificate-title" },
			h("h2", { id: "certificate-title" }, "Certificate"),
			parts.certificate,
			certificateButtons,
		),
		h(
			"section",
			{ class: "panel", "aria-labelledby": "history-title" },
			h("h2", { id: "history-title" }, "History"),
			parts.history,
		),
		h("section", { "aria-label": "Remove" }, parts.danger),
	);

	const show = {
		head: section(parts.head, (data) => headNodes(data, operator)),
		advice: section(parts.advice, (data) => adviceNodes(data, operator)),
		servers: section(parts.servers, (data) => [serversNode(data)]),
		records: section(parts.records, recordsNodes),
		certificate: section(parts.certificate, ([data, stored]) => certificateNodes(data, stored)),
		history: section(parts.history, historyNodes),
		danger: section(parts.danger, ([kind, status]) => [
			h(
				"div",
				{ class: "buttons" },
				operatorButtons(kind, status),
				button("Remove domain", () => confirmRemoval(domain), { class: "button danger" }),
			),
		]),
	};

	function operatorButtons(kind, status) {
		const act = (words, suffix) =>
			button(words, async () => {
				try {
					await api("POST", suffix.startsWith("/v1") ? suffix : domainPath(domain, suffix));
					announce(`${words}: done`);
					trouble.textContent = "";
				} catch (error) {
					trouble.textContent = error.message;
				}
				refresh();
			});
		if (!operator) return null;
		return [
			status === "suspended"
				? act("Resume", "/resume")
				: ["active", "drifted"].includes(status) && act("Suspend", "/suspend"),
			domain.certificate.state === "issued" &&
				act("Renew the certificate now", `/v1/certificates/${encodeURIComponent(domain.name)}/renew`),
		].filter(Boolean);
	}

	// What says how long ago something was changes by itself: it is not what sections are compared by.
	function update(data) {
		if (domain && domain.state.title !== data.state.title)
			announce(`${data.unicode_name}: ${data.state.title}`);
		domain = data;
		path.tenant = data.tenant;
		const { next_check_at: next, ...rest } = data;
		delete rest.check;
		const still = { ...rest, last_check: rest.last_check && { ...rest.last_check, at: null, by: null } };
		title.textContent = data.unicode_name;
		document.title = `${data.unicode_name} · ${data.state.title}`;
		for (const part of ["head", "advice", "servers", "records"]) show[part](still);
		parts.head.dataset.state = data.state.code;
		parts.records.closest("section").hidden = data.records.length === 0;
		check.hidden = data.kind === "platform";
		show.danger([data.kind, `${data.status}`, data.certificate.state]);
		tick();
		return next;
	}

	async function more() {
		const now = JSON.stringify([domain.status, domain.certificate, domain.options]);
		if (now === changes) return;
		const [stored, events] = await Promise.all([
			storedCertificate(domain),
			api("GET", `/v1/events${query({ name, tenant: domain.tenant, limit: "20" })}`),
		]);
		changes = now;
		show.certificate([domain, stored]);
		show.history(events.events);
		certificateButtons.replaceChildren(
			upload,
			...(stored?.source === "upload" && !stored.removed_at
				? [
						button("Remove the uploaded one", () => removeUpload(stored, look), {
							class: "button danger",
						}),
					]
				: []),
		);
	}

	// After a change to the certificate.
	function look() {
		changes = "";
		context.refresh();
	}

	async function refresh() {
		update(await api("GET", domainPath(path)));
		await more();
	}

	async function verify() {
		check.disabled = true;
		check.textContent = "Checking …";
		trouble.textContent = "";
		try {
			update(await api("POST", domainPath(domain, "/verify")));
			announce(`Checked: ${domain.state.title}`);
		} catch (error) {
			if (context.endsSession(error)) return;
			trouble.replaceChildren(icon("alert"), h("span", null, error.message));
		} finally {
			check.disabled = false;
			check.textContent = "Check again";
		}
		context.refresh();
	}

	function tick() {
		if (!domain) return;
		const at = domain.last_check?.at;
		const text = [at ? `Last checked ${fromNow(at)}` : "Not checked yet", nextCheck(domain)]
			.filter(Boolean)
			.join(" · ");
		if (live.textContent !== text) live.textContent = text;
	}

	return {
		node,
		title: name,
		refresh,
		tick,
		every: () => (domain && isBusy(domain) ? 2000 : 15000),
		missing: `${name} is not among the domains here. It may have been removed.`,
	};
}
