// Before there is a session: logging in by token, and opening a portal's link.

import { api } from "./api.js";
import { button, field, h, outside } from "./dom.js";
import { brandName } from "./words.js";

const RETURN = "return_url"; // of the last portal session in this tab: kept for when it has ended

// In a foreign frame browsers may refuse it: then it is not kept.
function storage(use) {
	try {
		return use(sessionStorage);
	} catch {
		return null;
	}
}

export const rememberReturn = (url) =>
	storage((store) => (url ? store.setItem(RETURN, url) : store.removeItem(RETURN)));

function wayBack() {
	const url = storage((store) => store.getItem(RETURN));
	return url
		? h("div", { class: "buttons" }, outside(url, "Go back", { class: "button", target: "_top" }))
		: null;
}

function panel(title, ...children) {
	return h(
		"div",
		{ class: "narrow" },
		h("section", { class: "panel stack" }, h("h1", { tabindex: "-1" }, title), ...children),
	);
}

export function loginPage(message, start) {
	const token = field(
		"token",
		"Token",
		h("input", {
			type: "password",
			autocomplete: "current-password",
			autocapitalize: "none",
			spellcheck: "false",
		}),
		"The admin token of this installation, or a token of the API.",
	);
	token.set(message ?? "");
	token.input.setAttribute("aria-invalid", "false");
	const submit = h("button", { class: "button primary wide", type: "submit" }, "Log in");
	return panel(
		"Log in",
		h(
			"form",
			{
				class: "stack",
				novalidate: true,
				onsubmit: async (event) => {
					event.preventDefault();
					submit.disabled = true;
					try {
						await api("POST", "/session", { token: token.input.value.trim() });
						token.input.value = "";
						start();
					} catch (error) {
						token.set(error.mend);
						token.input.select();
					} finally {
						submit.disabled = false;
					}
				},
			},
			token.node,
			submit,
		),
	);
}

export function endedPage(message) {
	return panel(
		"Your session has ended",
		h(
			"p",
			null,
			message ??
				`Open it again from your account: the link that led you here was good for one session with ${brandName()}.`,
		),
		wayBack(),
	);
}

// The link of this address, "" where there is none. It leaves the address bar and the history at once.
export function takeLink() {
	const link = location.hash.slice(1);
	if (location.pathname !== "/portal" || !link.startsWith("ptl_")) return "";
	history.replaceState(null, "", "/portal");
	return link;
}

// A page that a browser draws in advance is not seen by anybody.
const seen = () =>
	document.prerendering
		? new Promise((resolve) => document.addEventListener("prerenderingchange", resolve, { once: true }))
		: Promise.resolve();

async function redeem(link, replace) {
	await api("POST", "/session", { link, replace, framed: window.top !== window.self });
	try {
		return await api("GET", "/session");
	} catch (error) {
		if (error.status === 401)
			throw new Error(
				"This browser keeps no session within another site’s page. Open the link in a window of its own.",
			);
		throw error;
	}
}

// Somebody who clicked on a page is let in at once. Where nothing led here (a mail, a chat, a program that follows
// links to look at them) a person is asked first, so that nobody else uses the link up.
export async function openLink(link, show, start) {
	const open = async (replace) => {
		try {
			await redeem(link, replace);
			start();
		} catch (error) {
			if (error.code === "other_session")
				show(
					panel(
						"Change over?",
						h("p", null, error.message.replace(/: send.*/, ".")),
						h(
							"div",
							{ class: "buttons" },
							button("Stay as I am", start),
							button("Change over", () => open(true), { class: "button primary" }),
						),
					),
				);
			else show(panel("This link has ended", h("p", null, error.message), wayBack()));
		}
	};
	await seen();
	if (document.referrer) await open(false);
	else
		show(
			panel(
				`Domains at ${brandName()}`,
				h("p", null, "This link opens your domains once, in this browser."),
				button("Open my domains", () => open(false), { class: "button primary wide" }),
			),
		);
}
