// A customer's whole way, from the portal link that the operator's app made to a live domain, with wrong records on the way;
// then by keyboard alone. Environment: DOMAIN, CERTIFICATE=1 where an issuer runs; see stage.mjs for the rest.

import assert from "node:assert/strict";
import { ask, DASHBOARD, inspect, open, play, say } from "./stage.mjs";

const { DOMAIN } = process.env;
const RETURN = `${DASHBOARD}/app.html`;
const page = await open();
const now = page.getByRole("region", { name: "What to do now" });
const records = page.getByRole("region", { name: "DNS records" });
const state = (code) => page.locator(`[data-state="${code}"]`).first().waitFor();

async function openLink() {
	await page.goto(`${DASHBOARD}/portal`);
	await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
	const { url } = await ask("link", { tenant: "brand", return_url: RETURN });
	await page.goto(url);
	await page.getByRole("heading", { name: "Domains at" }).waitFor();
	await inspect(page, "01-link");
	assert.equal(new URL(page.url()).hash, "", "the link has left the address bar");
	await page.getByRole("button", { name: "Open my domains" }).click();
	await page.getByRole("heading", { name: "Domains", exact: true }).waitFor();
	await page.getByText("Brand <b>& Söhne</b>").waitFor();
	const cookie = (await page.context().cookies()).find((each) => each.name === "postern_session");
	assert.ok(cookie.httpOnly);
	assert.equal(cookie.sameSite, "Strict");
	assert.equal(await page.evaluate(() => document.cookie), "");
	assert.equal(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]).includes("ptl_")), false);
	assert.equal(await page.getByRole("link", { name: "Back" }).getAttribute("href"), RETURN);
	await inspect(page, "02-no-domains");
	const other = await open();
	await other.goto(url);
	await other.getByRole("button", { name: "Open my domains" }).click();
	await other.getByRole("heading", { name: "This link has ended" }).waitFor();
	await inspect(other, "03-used-link");
	await other.context().close();
}

async function refuseBadNames() {
	const input = page.getByLabel("Add a domain");
	for (const [name, reason] of [["10.0.0.1", "IP address"], ["<img src=x onerror=alert(1)>.test", "host name"], ["nlb.saas.test", "platform"], ["", "."]]) {
		await input.fill(name);
		await page.getByRole("button", { name: "Add domain" }).click();
		await page.locator("#name-error").getByText(reason).first().waitFor();
		assert.equal(await input.getAttribute("aria-invalid"), "true");
		assert.ok(await input.evaluate((node) => node === document.activeElement), "the cursor is where the mistake is");
	}
	await inspect(page, "04-refused-name");
}

const shownRecords = () => records.locator(".record").evaluateAll((all) => all.map((record) => {
	const [, name, value] = record.querySelectorAll(".values > div");
	const whole = name.querySelector(".whole")?.textContent.replace("in full: ", "");
	return { type: record.dataset.type, purpose: record.dataset.purpose, name: whole ?? name.querySelector("code").textContent, value: value.querySelector("code").textContent };
}));

async function addDomain() {
	await page.getByLabel("Add a domain").fill(DOMAIN);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: DOMAIN }).waitFor();
	await records.locator(".record").nth(1).waitFor();
	const all = (await shownRecords()).filter((record) => record.purpose !== "issuance");
	assert.deepEqual(all.map((record) => record.type), ["TXT", "CNAME"]);
	await records.getByRole("button", { name: "Copy value of the TXT record", exact: true }).click();
	await records.getByText("Copied").waitFor();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), all[0].value);
	await state("action_needed");
	await page.getByText(/Last checked .* ago/).waitFor();
	await page.getByText(/next automatic check|checking now/).waitFor();
	await inspect(page, "05-records");
	return all;
}

async function sendInstructions(all) {
	await page.getByRole("button", { name: "Send these instructions" }).click();
	const text = await page.getByRole("textbox", { name: "Text of the mail" }).inputValue();
	for (const record of all)
		assert.ok(text.includes(record.value) && text.includes(record.name), text);
	const mailto = await page.getByRole("link", { name: "Open in a mail program" }).getAttribute("href");
	assert.ok(mailto.startsWith("mailto:?subject=") && decodeURIComponent(mailto).includes(all[0].value));
	await page.getByRole("button", { name: "Copy text of the mail" }).click();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
	await inspect(page, "06-mail");
	await page.keyboard.press("Escape");
}

const check = async () => {
	await page.getByRole("button", { name: "Check again" }).click();
	await page.getByRole("button", { name: "Checking …" }).waitFor({ state: "detached" });
};

// Each wrong record gets its own advice; what is in DNS is text, whatever it looks like.
async function wrongRecords([txt, cname]) {
	await check();
	await now.locator('[data-code="txt_missing"]').waitFor();
	await now.getByText("You have to act").first().waitFor();
	const evil = '<img src=x onerror="alert(document.domain)">';
	await ask("publish", { records: [{ ...txt, value: evil }] });
	await check();
	await now.locator('[data-code="txt_wrong_value"]').getByText("What is there now").waitFor();
	await now.locator(".found").getByText(evil).first().waitFor();
	assert.equal(await page.locator("#view img").count(), 0, "markup in a TXT record is text");
	await inspect(page, "07-wrong-value");
	await ask("publish", { records: [{ ...txt, name: `${txt.name}.test` }], remove: [txt] });
	await check();
	await now.locator('[data-code="txt_name_doubled"]').waitFor();
	await inspect(page, "08-name-doubled");
	await ask("publish", { records: [txt, { type: "AAAA", name: DOMAIN, value: "2001:db8::7" }, { type: "A", name: DOMAIN, value: "192.0.2.7" }] });
	await check();
	await now.locator('[data-code="routing_elsewhere"], [data-code="leftover_aaaa"], [data-code="second_a"]').first().waitFor();
	await page.locator('[data-step="ownership"][data-tone="good"]').waitFor();
	await inspect(page, "09-leads-elsewhere");
	await ask("publish", { records: [cname], remove: [{ type: "AAAA", name: DOMAIN }, { type: "A", name: DOMAIN }] });
	await check();
}

async function isLive() {
	await page.locator('[data-step="routing"][data-tone="good"]').waitFor();
	if (process.env.CERTIFICATE) {
		await state("live");
		await page.locator('[data-step="certificate"][data-tone="good"]').waitFor();
		await page.getByRole("region", { name: "Certificate" }).getByText("Valid until").waitFor();
		await now.getByText("Nothing is left to do").waitFor();
	}
	await page.getByRole("region", { name: "History" }).getByText("Proven to be yours").waitFor();
	await inspect(page, "10-live");
	say(`state shown: ${await page.locator(".pill").first().textContent()}`);
}

// A certificate of the customer's own: a key that is not its own is told beside its field; removed, the CA's takes its place.
async function ownCertificate() {
	const { chain, key, wrong } = await ask("certificate", { name: DOMAIN });
	const certificate = page.getByRole("region", { name: "Certificate" });
	await page.getByRole("button", { name: "Upload a certificate" }).click();
	await page.getByRole("textbox", { name: "Certificate and chain" }).fill(chain);
	await page.getByRole("textbox", { name: "Private key" }).fill(wrong);
	await page.getByRole("button", { name: "Upload", exact: true }).click();
	await page.locator("#chain-error").getByText(/private key/).first().waitFor();
	await inspect(page, "10a-wrong-key");
	await page.getByRole("textbox", { name: "Private key" }).fill(key);
	await page.getByRole("button", { name: "Upload", exact: true }).click();
	await certificate.getByText("(uploaded)").waitFor();
	await inspect(page, "10b-uploaded");
	await page.getByRole("button", { name: "Remove the uploaded one" }).click();
	await page.getByRole("button", { name: "Remove it" }).click();
	await certificate.getByText("(uploaded)").waitFor({ state: "detached" });
	await certificate.getByText("by itself, about").waitFor();
}

// What is published is found without a click.
async function watchByItself() {
	await page.goto(`${DASHBOARD}/portal#/domains`);
	await page.getByLabel("Add a domain").fill(`auto.${DOMAIN}`);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: `auto.${DOMAIN}` }).waitFor();
	await records.locator(".record").nth(1).waitFor();
	await ask("publish", { records: (await shownRecords()).filter((record) => record.purpose !== "issuance") });
	await page.locator('[data-step="routing"][data-tone="good"]').waitFor({ timeout: 60000 });
}

async function lastingRecord() {
	await ask("offer_lasting", {});
	await page.goto(`${DASHBOARD}/portal#/domains/auto.${DOMAIN}`);
	await records.getByText("Switch over without interruption").click();
	await records.locator('[data-purpose="issuance"]').getByText("ca.example; accounturi=https://ca.example/acct/7").waitFor();
	await records.getByText("no longer depends on where the domain leads").waitFor();
	await inspect(page, "11-lasting-record");
	await page.waitForTimeout(2500);
	assert.ok(await records.locator("details[open]").count(), "what was opened stays open when the page looks again");
}

async function byKeyboard() {
	await page.goto(`${DASHBOARD}/portal#/domains`);
	await page.getByRole("link", { name: new RegExp(`^auto\\.${DOMAIN}`) }).waitFor();
	const press = async (key, times = 1) => { for (let i = 0; i < times; i++) await page.keyboard.press(key); };
	const focused = () => page.evaluate(() => (document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim());
	const tabTo = async (words) => {
		for (let i = 0; i < 60; i++) {
			await press("Tab");
			const outline = await page.evaluate(() => document.activeElement === document.body ? "of the window" : getComputedStyle(document.activeElement).outlineStyle);
			assert.notEqual(outline, "none", `the focus is seen on ${await focused()}`);
			if ((await focused()).startsWith(words))
				return;
		}
		assert.fail(`Tab never reaches ${words}`);
	};
	await tabTo(`auto.${DOMAIN}`);
	await press("Enter");
	await page.getByRole("heading", { name: `auto.${DOMAIN}` }).waitFor();
	await tabTo("Check again");
	await press("Enter");
	await tabTo("Copy value of the TXT record");
	await press("Enter");
	await records.getByText("Copied").waitFor();
	await tabTo("Upload a certificate");
	await press("Enter");
	await page.getByRole("dialog").waitFor();
	await inspect(page, "12-upload");
	await press("Escape");
	await page.getByRole("dialog").waitFor({ state: "detached" });
	await tabTo("Remove domain");
	await press("Enter");
	await inspect(page, "13-remove");
	await tabTo("Remove domain");
	await press("Enter");
	await page.getByRole("heading", { name: "Domains", exact: true }).waitFor();
	await page.getByRole("link", { name: new RegExp(`^auto\\.${DOMAIN}`) }).waitFor({ state: "detached" });
	await inspect(page, "14-domains");
}

// A portal's session sees its tenant's, whatever address is typed; and ends when the operator says so.
async function othersAndTheEnd() {
	await page.goto(`${DASHBOARD}/portal#/domains/secret.others.test?tenant=other`);
	await page.locator("#offline, .lead").getByText(/another|tenant|not among/i).first().waitFor();
	await page.goto(`${DASHBOARD}/portal#/tenants`);
	await page.getByRole("heading", { name: "Domains", exact: true }).waitFor();
	await ask("revoke", { tenant: "brand" });
	await page.goto(`${DASHBOARD}/portal#/domains/${DOMAIN}`);
	await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
	assert.equal(await page.getByRole("link", { name: "Go back" }).getAttribute("href"), RETURN);
	await inspect(page, "15-ended");
}

await play([openLink, refuseBadNames, async () => {
	const all = await addDomain();
	await sendInstructions(all);
	await wrongRecords(all);
}, isLive, ownCertificate, watchByItself, lastingRecord, byKeyboard, othersAndTheEnd]);
