// Plays a customer's way through the dashboard in a real browser: log in, add, publish, verify, active, certificate,
// delete, log out. Started by a scenario in tests/e2e, which publishes DNS records when asked to:
//
//   this prints {"publish": [{"type", "name", "value"}, …]} and waits for a line on its standard input
//   this prints {"said": "…"} for the test's log, and exits 0 when everything held
//
// Environment: DASHBOARD (its URL), TOKEN, DOMAIN, SCREENSHOTS (a directory), CHROMIUM (/usr/bin/chromium),
// CERTIFICATE=1 where an issuer runs and the certificate is to be waited for.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { DASHBOARD, TOKEN, DOMAIN, SCREENSHOTS, CERTIFICATE } = process.env;
const PATIENCE_MS = 20000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function publish(records) {
	print({ publish: records });
	await answers.next();
}

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
	args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
context.setDefaultTimeout(PATIENCE_MS);
const page = await context.newPage();

// What no page of ours may ever do.
const complaints = [];
page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
page.on("console", (message) => {
	if (/Content Security Policy|Refused to/.test(message.text()))
		complaints.push(`console: ${message.text()}`);
});
page.on("dialog", (dialog) => {
	complaints.push(`dialog: ${dialog.message()}`);
	dialog.dismiss();
});
page.on("request", (request) => {
	if (!request.url().startsWith(DASHBOARD) && !request.url().startsWith("data:"))
		complaints.push(`request to somebody else: ${request.url()}`);
});

const shot = (name, fullPage = true) => page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage });
const card = page.locator(`.card[data-name="${DOMAIN}"]`);
const result = card.locator(".result");

async function logIn() {
	await page.goto(DASHBOARD);
	await page.getByLabel("Admin token").fill("not the token at all");
	await page.getByRole("button", { name: "Log in" }).click();
	await page.getByText("This is not the admin token").waitFor();
	await shot("01-wrong-token");
	await page.getByLabel("Admin token").fill(TOKEN);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Domains" }).waitFor();
	const cookie = (await context.cookies()).find((each) => each.name === "postern_session");
	assert.ok(cookie.httpOnly, "cookie is HttpOnly");
	assert.equal(cookie.sameSite, "Strict");
	assert.equal(await page.evaluate(() => document.cookie), "");
}

async function refuseBadNames() {
	for (const [name, reason] of [["10.0.0.1", "IP address"], ["<img src=x onerror=alert(1)>.test", "name:"], ["nlb.saas.test", "platform"]]) {
		await page.getByLabel("Add a domain").fill(name);
		await page.getByRole("button", { name: "Add domain" }).click();
		await page.locator("#add-error").getByText(reason).waitFor();
	}
	await shot("02-refused-name");
}

async function readRecords() {
	await card.locator(".records").evaluate((details) => { details.open = true; });
	return card.locator(".record").evaluateAll((records) => records.map((record) => {
		const [name, value] = record.querySelectorAll("code");
		return { type: record.querySelector(".type").textContent, name: name.textContent, value: value.textContent };
	}));
}

async function addDomain() {
	await page.getByLabel("Add a domain").fill(DOMAIN);
	await page.getByRole("button", { name: "Add domain" }).click();
	await card.waitFor();
	await card.getByText("Waiting for DNS").waitFor();
	const records = await readRecords();
	assert.deepEqual(records.map((record) => record.type), ["TXT", "CNAME"]);
	await card.getByRole("button", { name: "Copy value of the TXT record" }).click();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), records[0].value);
	await card.getByText("Copied").waitFor();
	await shot("03-added");
	return records;
}

const checkNow = () => card.getByRole("button", { name: "Check now" }).click();

async function verify(records) {
	await checkNow();
	await result.getByText("Not there yet.").waitFor();
	await shot("04-not-there-yet");

	const evil = '<img src=x onerror="alert(document.domain)">';
	await publish([{ ...records[0], value: evil }]);
	await checkNow();
	await result.getByText("another value").waitFor();
	await result.getByText(`Found: ${evil}`).waitFor();
	assert.equal(await page.locator(".card img").count(), 0, "a TXT record's markup is text");
	await shot("05-wrong-value");

	await publish(records);
	await checkNow();
	await page.locator(`.card[data-name="${DOMAIN}"][data-status="active"]`).waitFor();
	await result.getByText("Verified.").waitFor();
	if (CERTIFICATE)
		await page.locator(`.card[data-name="${DOMAIN}"][data-certificate="issued"]`).waitFor();
	await shot("06-active");
	print({ said: `status shown: ${await card.locator(".pill").textContent()}` });
}

// A name whose records are published is found by itself: the page shows it without a click.
async function watchByItself() {
	const name = `auto.${DOMAIN}`;
	const own = page.locator(`.card[data-name="${name}"]`);
	await page.getByLabel("Add a domain").fill(name);
	await page.keyboard.press("Enter");
	await own.waitFor();
	const records = await own.locator(".record").evaluateAll((all) => all.map((record) => {
		const [owner, value] = record.querySelectorAll("code");
		return { type: record.querySelector(".type").textContent, name: owner.textContent, value: value.textContent };
	}));
	await publish(records);
	await page.locator(`.card[data-name="${name}"][data-status="active"]`).waitFor({ timeout: 45000 });
}

async function fitsEverywhere() {
	for (const width of [320, 768, 1440]) {
		await page.setViewportSize({ width, height: 800 });
		const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
		assert.ok(overflow <= 0, `${width} px wide: ${overflow} px stick out`);
		await shot(`07-width-${width}`);
	}
	await page.setViewportSize({ width: 1100, height: 800 });
	await page.emulateMedia({ colorScheme: "dark" });
	await shot("08-dark");
	await page.emulateMedia({ colorScheme: "light" });
}

async function worksByKeyboard() {
	await page.locator("#name").focus();
	const stops = [];
	for (let i = 0; i < 12; i++) {
		await page.keyboard.press("Tab");
		stops.push(await page.evaluate(() => (document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim()));
	}
	for (const stop of ["Add domain", "For a certain tenant", "DNS records", "Check now", "Delete"])
		assert.ok(stops.includes(stop), `Tab reaches "${stop}": ${stops.join(" | ")}`);
}

async function remove() {
	await card.getByRole("button", { name: "Delete" }).click();
	await page.getByRole("dialog").getByText(DOMAIN).waitFor();
	await shot("09-confirm", false);
	await page.keyboard.press("Escape");
	await card.waitFor();
	await card.getByRole("button", { name: "Delete" }).click();
	await page.getByRole("button", { name: "Delete domain" }).click();
	await card.waitFor({ state: "detached" });
}

async function logOut() {
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByRole("heading", { name: "Log in" }).waitFor();
	await page.reload();
	await page.getByRole("heading", { name: "Log in" }).waitFor();
}

try {
	await logIn();
	await refuseBadNames();
	const records = await addDomain();
	await verify(records);
	await watchByItself();
	await fitsEverywhere();
	await worksByKeyboard();
	await remove();
	await logOut();
	assert.deepEqual(complaints, []);
} catch (error) {
	await shot("99-failed").catch(() => {});
	console.error(error, complaints);
	process.exitCode = 1;
} finally {
	await browser.close();
	process.exit();
}
