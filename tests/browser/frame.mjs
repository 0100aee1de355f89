// The portal in a frame of the operator's app, which is another site; and pages that may not frame it.
// Environment: APP (the app's origin), STRANGER (another origin); see stage.mjs for the rest.

import assert from "node:assert/strict";
import { ask, complaints, DASHBOARD, open, play, shot } from "./stage.mjs";

const { APP, STRANGER } = process.env;

async function framed() {
	const page = await open();
	const { url } = await ask("link", {});
	await page.goto(`${APP}/?${encodeURIComponent(url)}`);
	const frame = page.frameLocator("iframe");
	await frame.getByRole("heading", { name: "Domains", exact: true }).waitFor(); // at once: a page led there
	await frame.getByLabel("Add a domain").fill("framed.brand.test");
	await frame.getByRole("button", { name: "Add domain" }).click();
	await frame.getByRole("heading", { name: "framed.brand.test" }).waitFor();
	await shot(page, "30-framed");
	const cookie = (await page.context().cookies(DASHBOARD)).find((each) => each.name === "__Host-postern_session");
	assert.equal(cookie.sameSite, "None");
	assert.ok(cookie.secure && cookie.httpOnly);
	// Outside of the frame that session is none: it belongs to the site around it.
	const alone = await page.context().newPage();
	await alone.goto(`${DASHBOARD}/portal`);
	await alone.getByRole("heading", { name: "Your session has ended" }).waitFor();
}

async function strangersSeeNothing() {
	const page = await open();
	const { url } = await ask("link", {});
	await page.goto(`${STRANGER}/?${encodeURIComponent(url)}`);
	await page.getByText("framing").waitFor();
	await page.waitForLoadState("networkidle");
	assert.equal(await page.frameLocator("iframe").getByRole("heading").count(), 0);
	assert.equal((await page.context().cookies(DASHBOARD)).length, 0);
	await page.goto(`${APP}/?${encodeURIComponent(`${DASHBOARD}/`)}`);
	await page.waitForLoadState("networkidle");
	assert.equal(await page.frameLocator("iframe").getByRole("heading").count(), 0, "nothing but the portal is framed");
	// What the browser refused it says in the console: twice is right.
	const refusals = complaints.filter((text) => /frame-ancestors|Refused to frame|X-Frame-Options|Refused to display/i.test(text));
	assert.equal(refusals.length, complaints.length, complaints.join("\n"));
	complaints.splice(0);
}

await play([framed, strangersSeeNothing]);
