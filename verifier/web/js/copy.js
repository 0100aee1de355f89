// Buttons that copy.

import { announce, h } from "./dom.js";

async function write(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Plain http and foreign frames have no clipboard object: the old way, through a selection.
		const area = h("textarea", { class: "unseen", value: text, "aria-hidden": "true" });
		(document.querySelector("dialog[open]") ?? document.body).append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		return done;
	}
}

// `what` tells which, for who does not see where the button is; `source` is selected where copying is not allowed.
export function copyButton(text, what, source, className = "copy") {
	const button = h(
		"button",
		{ type: "button", class: className, "aria-label": `Copy ${what}`, data: { key: `copy ${what}` } },
		"Copy",
	);
	button.addEventListener("click", async () => {
		const done = await write(text);
		button.focus();
		button.textContent = done ? "Copied" : "Select it";
		button.classList.toggle("copied", done);
		if (done) announce(`Copied: ${what}`);
		else if (source) getSelection().selectAllChildren(source);
		setTimeout(() => {
			button.textContent = "Copy";
			button.classList.remove("copied");
		}, 1800);
	});
	return button;
}
