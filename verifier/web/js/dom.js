// How the page is built: elements out of JavaScript, in which text is only ever text.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
	check: ["M20 6 9 17l-5-5"],
	alert: [
		"M12 8v5",
		"M12 16.5v.01",
		"M10.3 3.9 2.4 17.5A2 2 0 0 0 4.1 20.5h15.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0z",
	],
	clock: ["M12 7v5l3 2", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z"],
	question: [
		"M9.2 9a3 3 0 1 1 4.2 3c-.9.5-1.4 1-1.4 2",
		"M12 17.5v.01",
		"M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
	],
	stop: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M5.8 5.8l12.4 12.4"],
	back: ["M19 12H5", "M11 18l-6-6 6-6"],
	globe: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M3 12h18", "M12 3c5 5 5 13 0 18", "M12 3c-5 5-5 13 0 18"],
	info: ["M12 11v5", "M12 7.5v.01", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z"],
	dot: ["M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z"],
	mail: ["M4 6h16v12H4z", "M4 7l8 6 8-6"],
};

export const byId = (id) => document.getElementById(id);

// A picture beside words that say the same.
export function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("class", "icon");
	svg.setAttribute("aria-hidden", "true");
	for (const d of ICONS[name]) {
		const path = document.createElementNS(SVG, "path");
		path.setAttribute("d", d);
		svg.append(path);
	}
	return svg;
}

// h("p", { class: "hint", onclick: f, data: { tone: "good" } }, "text", node, null, [more]).
export function h(tag, props, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(props ?? {})) {
		if (value === null || value === undefined || value === false) continue;
		if (name === "data") Object.assign(node.dataset, value);
		else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "disabled" || name === "open") node[name] = value;
		else node.setAttribute(name, value === true ? "" : value);
	}
	node.append(
		...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
	);
	return node;
}

export function button(text, onclick, props) {
	return h("button", { type: "button", class: "button", onclick, ...props }, text);
}

// A link to somebody else's page: http and https alone, whatever it was told.
export function outside(href, text, props) {
	return /^https?:\/\//.test(href)
		? h("a", { href, rel: "noreferrer", ...props }, text)
		: h("span", props, text);
}

export function announce(text) {
	byId("announce").textContent = text;
}

// A long name may break after its dots.
export function breakable(text) {
	return text
		.split(/(?<=\.)/)
		.flatMap((part) => [part, document.createElement("wbr")])
		.slice(0, -1);
}

// Puts `children` into `node` in place of what is there; open details and the focus stay where elements carry a data-key.
export function fill(node, ...children) {
	const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
	const open = [...node.querySelectorAll("details[data-key][open]")].map((each) => each.dataset.key);
	node.replaceChildren(...children.flat(9).filter(Boolean));
	const find = (key) => node.querySelector(`[data-key="${CSS.escape(key)}"]`);
	for (const key of open) find(key)?.setAttribute("open", "");
	if (focused) find(focused)?.focus({ preventScroll: true });
}

// fill() with render(data), where the data are others than the last time.
export function section(node, render) {
	let shown;
	return (data) => {
		const text = JSON.stringify(data);
		if (text !== shown) fill(node, render(data));
		shown = text;
	};
}

// A field, its words and its error: `set(text)` shows an error beneath, "" takes it away.
export function field(id, label, input, hint) {
	const error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
	input.id = id;
	input.setAttribute("aria-describedby", [hint && `${id}-hint`, error.id].filter(Boolean).join(" "));
	const set = (text) => {
		error.replaceChildren(...(text ? [icon("alert"), h("span", null, text)] : []));
		input.setAttribute("aria-invalid", String(Boolean(text)));
	};
	return {
		input,
		set,
		node: h(
			"div",
			{ class: "field" },
			h("label", { for: id }, label),
			input,
			hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
			error,
		),
	};
}

export function dialog(title, ...children) {
	const heading = h("h2", { id: "dialog-title" }, title);
	const node = h("dialog", { "aria-labelledby": "dialog-title" }, heading, ...children);
	node.addEventListener("close", () => node.remove());
	document.body.append(node);
	node.showModal();
	return node;
}
