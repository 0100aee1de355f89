// What the plays in Chromium share: a page that complains of what no page of ours may do, axe-core, pictures, and the
// scenario in tests/e2e that does what is asked for.
//
//   ask("publish", …) prints {"ask": "publish", …} and waits for a line on standard input: the answer
//   say("…") prints {"said": "…"} for the test's log
//
// Environment: DASHBOARD (its URL), SCREENSHOTS (a directory), CHROMIUM (/usr/bin/chromium), CHROMIUM_ARGS (lines).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const { DASHBOARD, SCREENSHOTS } = process.env;
const PATIENCE_MS = 40000;
const axeSource = readFileSync(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

export const say = (said) => print({ said });
export async function ask(what, more) {
	print({ ask: what, ...more });
	return JSON.parse((await answers.next()).value);
}

export const complaints = [];
let browser = null;

export async function open(options) {
	browser ??= await chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", ...(process.env.CHROMIUM_ARGS ?? "").split("\n").filter(Boolean)],
	});
	const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, permissions: ["clipboard-read", "clipboard-write"], ignoreHTTPSErrors: true, ...options });
	context.setDefaultTimeout(PATIENCE_MS);
	const page = await context.newPage();
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
		const own = [DASHBOARD, process.env.APP, process.env.STRANGER].filter(Boolean).some((origin) => request.url().startsWith(origin));
		if (!own && !/^(data|about|chrome-error):/.test(request.url()))
			complaints.push(`request to somebody else: ${request.url()}`);
	});
	return page;
}

export const shot = (page, name, fullPage = true) => page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage });

// Nothing that axe-core calls serious or critical, in light and dark; no sideways scrolling at 320 px. Pictures of all.
// It is run outside of the page's own world, where the page's policy does not reach.
async function findings(page) {
	const session = await page.context().newCDPSession(page);
	const { frameTree } = await session.send("Page.getFrameTree");
	const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
	await session.send("Runtime.evaluate", { expression: axeSource, contextId });
	const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
		expression: "axe.run(document, { resultTypes: ['violations'] }).then((done) => JSON.stringify({ passes: done.passes.length, violations: done.violations.map((each) => ({ id: each.id, impact: each.impact, nodes: each.nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary) })) }))",
		contextId, awaitPromise: true, returnByValue: true });
	await session.detach();
	assert.equal(exceptionDetails, undefined);
	return JSON.parse(result.value);
}

export async function inspect(page, name) {
	for (const colorScheme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme });
		const { violations, passes } = await findings(page);
		const serious = violations.filter((each) => ["serious", "critical"].includes(each.impact));
		assert.deepEqual(serious, [], `${name}, ${colorScheme}: ${JSON.stringify(serious, null, 1)}`);
		assert.ok(passes > 5, `axe-core looked at ${passes} things`);
		await shot(page, `${name}-${colorScheme}`);
	}
	await page.emulateMedia({ colorScheme: "light" });
	const size = page.viewportSize();
	await page.setViewportSize({ width: 320, height: 800 });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
	assert.ok(wide <= 0, `${name}, 320 px wide: ${wide} px stick out`);
	await shot(page, `${name}-320`);
	await page.setViewportSize(size);
}

export async function play(scenes) {
	let page = null;
	try {
		for (const scene of scenes)
			page = (await scene()) ?? page;
		assert.deepEqual(complaints, []);
	} catch (error) {
		console.error(error, complaints);
		for (const context of browser?.contexts() ?? [])
			for (const each of context.pages())
				await shot(each, `99-failed-${context.pages().indexOf(each)}`).catch(() => {});
		process.exitCode = 1;
	} finally {
		await browser?.close();
		process.exit();
	}
}
