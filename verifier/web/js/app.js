// The dashboard: who is logged in, which page is shown, and keeping it up to date.

import { api } from "./api.js";
import { byId, button, h, icon, outside } from "./dom.js";
import { domainPage } from "./domain.js";
import { domainsPage } from "./domains.js";
import { explainPage } from "./explain.js";
import { endedPage, loginPage, openLink, rememberReturn, takeLink } from "./login.js";
import { overviewPage } from "./overview.js";
import { tenantsPage } from "./tenants.js";
import { brandName } from "./words.js";

const PAGES = {
	domains: (context, name, parameters) => (name ? domainPage : domainsPage)(context, name, parameters),
	overview: overviewPage,
	tenants: tenantsPage,
	explain: explainPage,
};
const OPERATOR = { overview: "Overview", domains: "Domains", tenants: "Tenants", explain: "Explain" };
const isPortal = location.pathname === "/portal";

let session = null;
let page = null;
let timer = 0;
let generation = 0; // of pages: what was asked for by one that has gone is not shown

function showAlone(node) {
	clearTimeout(timer);
	generation++;
	page = null;
	byId("nav").hidden = true;
	byId("account").hidden = true;
	byId("view").replaceChildren(node);
	document.title = `${node.querySelector("h1").textContent} · ${brandName()}`;
	(node.querySelector("input") ?? node.querySelector("h1")).focus();
}

function leave(message) {
	const wasPortal = session?.portal || isPortal;
	session = null;
	showAlone(wasPortal ? endedPage(message) : loginPage(message, start));
}

function endsSession(error) {
	if (error.status !== 401) return false;
	leave(isPortal || session?.portal ? undefined : "The session has ended. Log in again.");
	return true;
}

function showFrame() {
	const operator = session.scope === "operator";
	byId("nav").replaceChildren(
		...(operator
			? Object.entries(OPERATOR).map(([key, title]) =>
					h("a", { href: `#/${key}`, data: { page: key } }, title),
				)
			: []),
	);
	byId("nav").hidden = !operator;
	byId("account").replaceChildren(
		...[
			!operator && h("span", null, session.title ?? session.tenant),
			session.return_url &&
				outside(session.return_url, [icon("back"), "Back"], { class: "button quiet", target: "_top" }),
			button(
				"Log out",
				async () => {
					await api("DELETE", "/session").catch(() => {});
					leave(session?.portal ? "You have logged out." : undefined);
				},
				{ class: "button quiet" },
			),
		].filter(Boolean),
	);
	byId("account").hidden = false;
}

function offline(text) {
	byId("offline").textContent = text;
	byId("offline").hidden = !text;
}

async function refresh() {
	clearTimeout(timer);
	const asked = generation;
	const now = page;
	if (!now) return;
	try {
		await now.refresh();
		offline("");
	} catch (error) {
		if (asked !== generation || endsSession(error)) return;
		if (error.status === 404 && now.missing) {
			now.node.replaceChildren(
				h("a", { class: "back", href: "#/domains" }, icon("back"), "All domains"),
				h("h1", { tabindex: "-1" }, "Not here"),
				h("p", { class: "lead" }, now.missing),
			);
			return;
		}
		offline(error.message);
	}
	if (asked === generation && now.every && !document.hidden) timer = setTimeout(refresh, now.every());
}

const context = {
	get session() {
		return session;
	},
	refresh,
	endsSession,
};

function route() {
	if (!session) return;
	const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
	const [key, name] = path.split("/");
	const home = session.scope === "operator" ? "overview" : "domains";
	const chosen =
		Object.hasOwn(PAGES, key) && (session.scope === "operator" || key === "domains") ? key : home;
	let decoded = null;
	try {
		decoded = chosen === key && name ? decodeURIComponent(name) : null;
	} catch {
		decoded = name;
	}
	generation++;
	offline("");
	page = PAGES[chosen](context, decoded, new URLSearchParams(search ?? ""));
	document.title = `${page.title} · ${brandName()}`;
	for (const link of byId("nav").children) link.toggleAttribute("aria-current", link.dataset.page === chosen);
	for (const link of byId("nav").querySelectorAll("[aria-current]"))
		link.setAttribute("aria-current", "page");
	byId("view").replaceChildren(page.node);
	scrollTo(0, 0);
	page.node.querySelector("h1").focus({ preventScroll: true });
	refresh();
}

async function start() {
	try {
		session = await api("GET", "/session");
	} catch (error) {
		leave(error.status === 401 ? undefined : error.message);
		return;
	}
	if (isPortal && session.scope === "operator") {
		location.replace("/"); // which is never shown in a frame
		return;
	}
	if (session.portal) rememberReturn(session.return_url);
	showFrame();
	route();
}

addEventListener("hashchange", () => {
	const link = takeLink();
	if (link) openLink(link, showAlone, start);
	else route();
});
document.addEventListener("visibilitychange", () => {
	if (!document.hidden && page?.every) refresh();
});
setInterval(() => page?.tick?.(), 1000);

// The address after the # is the page's: the way past the header leaves it alone.
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault();
	byId("view").focus();
});

const link = takeLink();
if (link) openLink(link, showAlone, start);
else start();
