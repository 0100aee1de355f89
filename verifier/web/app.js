"use strict";

// The dashboard: talks to the API with the session's cookie and shows what it says. Text from the API only ever
// becomes textContent.

const POLL_BUSY_MS = 2000;
const POLL_QUIET_MS = 15000;
const PAGE = 100;

const byId = (id) => document.getElementById(id);
const cards = new Map(); // "tenant/name" → card
let pages = 1;
let timer = 0;
let generation = 0; // of the list: an answer that was asked for before a change is not shown after it

class ApiError extends Error {
	constructor(status, detail) {
		super(detail);
		this.status = status;
	}
}

async function api(method, path, body) {
	const headers = { "X-Postern-Request": "1" };
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	let response;
	try {
		response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
	} catch {
		throw new ApiError(0, "The server cannot be reached. Trying again …");
	}
	const answer = response.status === 204 ? null : await response.json().catch(() => null);
	if (!response.ok)
		throw new ApiError(response.status, answer?.detail ?? `The server answered ${response.status}.`);
	return answer;
}

function announce(text) {
	byId("announce").textContent = text;
}

function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

function element(tag, text) {
	const node = document.createElement(tag);
	node.textContent = text;
	return node;
}

// ---- logging in and out

function showLogin(message) {
	clearTimeout(timer);
	generation++;
	for (const card of cards.values())
		card.root.remove();
	cards.clear();
	byId("domains").hidden = true;
	byId("logout").hidden = true;
	byId("login").hidden = false;
	byId("login-error").textContent = message ?? "";
	byId("token").focus();
}

function showDomains() {
	byId("login").hidden = true;
	byId("domains").hidden = false;
	byId("logout").hidden = false;
	byId("name").focus();
	refresh();
}

byId("login-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	const button = event.target.querySelector("button");
	button.disabled = true;
	byId("login-error").textContent = "";
	try {
		await api("POST", "/session", { token: byId("token").value.trim() });
		byId("token").value = "";
		showDomains();
	} catch (error) {
		byId("login-error").textContent = error.message;
		byId("token").select();
	} finally {
		button.disabled = false;
	}
});

byId("logout").addEventListener("click", async () => {
	await api("DELETE", "/session").catch(() => {});
	showLogin();
});

// ---- what a domain's state means, in words

function summary(domain) {
	const certificate = domain.certificate.state;
	if (domain.status === "suspended")
		return ["Suspended", "bad"];
	if (domain.status === "pending")
		return ["Waiting for DNS", "wait"];
	if (certificate === "failed")
		return ["Certificate failed", "bad"];
	if (certificate === "issuing")
		return ["Getting certificate", "wait"];
	if (domain.status === "drifted")
		return ["Check DNS", "wait"];
	if (domain.points_here === false)
		return ["Verified, not pointed here yet", "wait"];
	return certificate === "issued" ? ["Live", "good"] : ["Ready", "good"];
}

function ownershipStep(domain) {
	if (domain.status !== "pending")
		return ["done", "Proven by the TXT record"];
	switch (domain.last_check?.outcome) {
	case "absent": return ["now", "No TXT record seen yet"];
	case "mismatch": return ["bad", "The TXT record has another value"];
	case "temporary": return ["now", "Could not check, trying again"];
	case "bogus": return ["bad", "DNSSEC of the domain is broken"];
	case "verified": return ["bad", "In use by another tenant"];
	default: return ["now", "Looking for the TXT record"];
	}
}

function routingStep(domain) {
	if (domain.points_here === true)
		return ["done", "Points here"];
	if (domain.points_here === false)
		return ["now", "Does not point here yet"];
	return ["", "Not known yet"];
}

function dateText(iso) {
	return new Date(iso).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

function certificateStep(domain) {
	const certificate = domain.certificate;
	switch (certificate.state) {
	case "issued": return ["done", `Valid until ${dateText(certificate.not_after)}`];
	case "issuing": return ["now", "Being obtained …"];
	case "failed": return ["bad", certificate.reason ?? "Could not be obtained"];
	default: return ["", domain.status === "active" ? "Comes with the first visitor" : "Comes once verified"];
	}
}

function inWords(seconds) {
	if (seconds < 90)
		return `${Math.max(1, Math.round(seconds))} s`;
	return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function nextText(domain) {
	if (!domain.next_check_at)
		return "";
	const seconds = (Date.parse(domain.next_check_at) - Date.now()) / 1000;
	return seconds <= 1 ? "Checking …" : `Next check in ${inWords(seconds)}`;
}

// Nothing is left to do in DNS.
function isInPlace(domain) {
	return domain.status === "active" && domain.points_here === true;
}

function isBusy(domain) {
	return domain.status === "pending" || domain.certificate.state === "issuing" ||
		(domain.status === "active" && domain.points_here !== true && domain.next_check_at !== null);
}

// ---- copying

async function copyText(text) {
	if (navigator.clipboard) {
		await navigator.clipboard.writeText(text);
		return;
	}
	// Plain http has no clipboard object: the old way, through a selection.
	const area = document.createElement("textarea");
	area.value = text;
	area.className = "unseen";
	document.body.append(area);
	area.select();
	const done = document.execCommand("copy");
	area.remove();
	if (!done)
		throw new Error("not copied");
}

function addCopy(button, text, what) {
	button.setAttribute("aria-label", `Copy ${what}`);
	button.addEventListener("click", async () => {
		try {
			await copyText(text);
			button.textContent = "Copied";
			announce(`${what} copied`);
		} catch {
			button.textContent = "Select it";
			getSelection().selectAllChildren(button.previousElementSibling);
		}
		setTimeout(() => { button.textContent = "Copy"; }, 1600);
	});
}

// ---- cards

// A long name may break after its dots.
function breakable(text) {
	return text.split(/(?<=\.)/).flatMap((part) => [part, document.createElement("wbr")]).slice(0, -1);
}

function recordNode(record) {
	const node = byId("record-template").content.firstElementChild.cloneNode(true);
	node.querySelector(".type").textContent = record.type;
	const [name, value] = node.querySelectorAll(".record-field");
	for (const [field, text, what] of [[name, record.name, "name"], [value, record.value, "value"]]) {
		field.querySelector("code").replaceChildren(...breakable(text));
		addCopy(field.querySelector("button"), text, `${what} of the ${record.type} record`);
	}
	node.querySelector(".note").textContent = record.note ?? "";
	return node;
}

function pathOf(domain, suffix = "") {
	return `/v1/domains/${encodeURIComponent(domain.name)}${suffix}?tenant=${encodeURIComponent(domain.tenant)}`;
}

const outcomeTitles = {
	verified: ["Verified.", "good"],
	absent: ["Not there yet.", "wait"],
	mismatch: ["There is a TXT record, but with another value.", "bad"],
	temporary: ["Could not check.", "wait"],
	bogus: ["DNSSEC validation failed.", "bad"],
};

function showResult(card, title, tone, detail, found = []) {
	card.result.dataset.tone = tone;
	card.result.replaceChildren(element("strong", title));
	if (detail)
		card.result.append(element("span", detail));
	for (const value of found)
		card.result.append(element("code", `Found: ${value}`));
}

function showCheck(card, check) {
	const [title, tone] = outcomeTitles[check.outcome] ?? [check.outcome, "wait"];
	const wrong = check.outcome === "mismatch" ? check.found.txt ?? [] : [];
	showResult(card, title, tone, check.detail, wrong.slice(0, 5));
}

async function verify(card) {
	const button = card.root.querySelector('[data-action="verify"]');
	button.disabled = true;
	button.textContent = "Checking …";
	try {
		const domain = await api("POST", pathOf(card.domain, "/verify"));
		generation++;
		card.update(domain);
		showCheck(card, domain.check);
	} catch (error) {
		if (!endsSession(error))
			showResult(card, error.status === 409 ? "Not yours to use yet." : "Could not check.", "bad", error.message);
	} finally {
		button.disabled = false;
		button.textContent = "Check now";
		schedule();
	}
}

async function remove(card) {
	const dialog = byId("confirm");
	byId("confirm-name").textContent = card.domain.name;
	dialog.returnValue = "";
	dialog.showModal();
	await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
	if (dialog.returnValue !== "delete")
		return;
	try {
		await api("DELETE", pathOf(card.domain));
		announce(`${card.domain.name} deleted`);
		generation++;
		card.root.remove();
		cards.delete(keyOf(card.domain));
		byId("name").focus();
		refresh();
	} catch (error) {
		if (!endsSession(error))
			showResult(card, "Not deleted.", "bad", error.message);
	}
}

class Card {
	constructor(domain) {
		this.root = byId("card-template").content.firstElementChild.cloneNode(true);
		this.result = this.root.querySelector(".result");
		this.pill = this.root.querySelector(".pill");
		this.root.dataset.name = domain.name;
		this.root.querySelector(".name").textContent = domain.name;
		this.root.querySelector(".meta").textContent = domain.tenant === "default" ? "" : `Tenant ${domain.tenant}`;
		this.root.querySelector('[data-action="verify"]').addEventListener("click", () => verify(this));
		this.root.querySelector('[data-action="delete"]').addEventListener("click", () => remove(this));
		this.records = this.root.querySelector(".records");
		this.records.open = !isInPlace(domain);
		this.update(domain);
	}

	update(domain) {
		const shown = JSON.stringify(domain.records);
		if (shown !== this.shown)
			this.root.querySelector(".record-list").replaceChildren(...domain.records.map(recordNode));
		this.shown = shown;
		if (this.domain && isInPlace(domain) && !isInPlace(this.domain))
			this.records.open = false;
		const [text, tone] = summary(domain);
		if (this.domain && this.pill.textContent !== text)
			announce(`${domain.name}: ${text}`);
		setText(this.pill, text);
		this.pill.dataset.tone = tone;
		this.pill.dataset.busy = String(isBusy(domain));
		this.step("ownership", ownershipStep(domain));
		this.step("routing", routingStep(domain));
		this.step("certificate", certificateStep(domain));
		this.root.dataset.status = domain.status;
		this.root.dataset.certificate = domain.certificate.state;
		if (this.domain?.status === "pending" && domain.status === "active")
			this.result.replaceChildren();
		this.domain = domain;
		this.tick();
	}

	step(name, [state, text]) {
		const node = this.root.querySelector(`[data-step="${name}"]`);
		node.dataset.state = state;
		setText(node.querySelector(".step-text"), text);
	}

	tick() {
		setText(this.root.querySelector(".next"), nextText(this.domain));
	}
}

const keyOf = (domain) => `${domain.tenant}/${domain.name}`;

function show(domains, more) {
	const list = byId("list");
	const seen = new Set(domains.map(keyOf));
	for (const [key, card] of cards) {
		if (!seen.has(key)) {
			card.root.remove();
			cards.delete(key);
		}
	}
	domains.forEach((domain, index) => {
		const key = keyOf(domain);
		if (cards.has(key))
			cards.get(key).update(domain);
		else
			cards.set(key, new Card(domain));
		const root = cards.get(key).root;
		if (list.children[index] !== root)
			list.insertBefore(root, list.children[index] ?? null);
	});
	byId("empty").hidden = domains.length > 0;
	byId("more").hidden = !more;
}

// ---- staying up to date

function endsSession(error) {
	if (error.status !== 401)
		return false;
	showLogin("The session has ended. Log in again.");
	return true;
}

async function loadPages() {
	const domains = [];
	let cursor = null;
	for (let page = 0; page < pages; page++) {
		const answer = await api("GET", `/v1/domains?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
		domains.push(...answer.domains);
		cursor = answer.next;
		if (!cursor)
			break;
	}
	return [domains, cursor !== null];
}

async function refresh() {
	clearTimeout(timer);
	const asked = generation;
	try {
		const [domains, more] = await loadPages();
		if (asked === generation)
			show(domains, more);
		byId("offline").hidden = true;
	} catch (error) {
		if (endsSession(error))
			return;
		byId("offline").textContent = error.message;
		byId("offline").hidden = false;
	}
	schedule();
}

function schedule() {
	clearTimeout(timer);
	if (byId("domains").hidden || document.hidden)
		return;
	const busy = [...cards.values()].some((card) => isBusy(card.domain));
	timer = setTimeout(refresh, busy ? POLL_BUSY_MS : POLL_QUIET_MS);
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden && !byId("domains").hidden)
		refresh();
});

setInterval(() => {
	for (const card of cards.values())
		card.tick();
}, 1000);

byId("more").addEventListener("click", () => {
	pages++;
	refresh();
});

byId("add-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	const button = event.target.querySelector("button");
	const body = { name: byId("name").value.trim() };
	if (byId("tenant").value.trim())
		body.tenant = byId("tenant").value.trim();
	byId("add-error").textContent = "";
	button.disabled = true;
	try {
		const domain = await api("POST", "/v1/domains", body);
		byId("name").value = "";
		generation++;
		announce(`${domain.name} added. Its DNS records are shown.`);
		await refresh();
		cards.get(keyOf(domain))?.root.scrollIntoView({ block: "nearest" });
	} catch (error) {
		if (!endsSession(error))
			byId("add-error").textContent = error.message;
	} finally {
		button.disabled = false;
	}
});

api("GET", "/session").then(showDomains, (error) => showLogin(error.status === 401 ? "" : error.message));
