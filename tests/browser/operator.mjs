// The operator's pages, and hostile words in all of them: a tenant's title, a TXT record, a CA's error. Environment: TOKEN;
// see stage.mjs for the rest.

import assert from "node:assert/strict";
import { ask, DASHBOARD, inspect, open, play } from "./stage.mjs";

const EVIL = '<img src=x onerror="alert(1)">';
const page = await open();
const view = page.locator("#view");

async function hasNoMarkup() {
	assert.equal(await view.locator("img, script, iframe").count(), 0);
}

async function logIn() {
	await page.goto(DASHBOARD);
	await page.getByRole("textbox", { name: "Token" }).fill("not the token at all");
	await page.getByRole("button", { name: "Log in" }).click();
	await page.getByText("This is not the admin token").waitFor();
	await inspect(page, "20-wrong-token");
	await page.getByRole("textbox", { name: "Token" }).fill(process.env.TOKEN);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Overview" }).waitFor();
}

async function overview() {
	const failures = page.getByRole("region", { name: "Failures" });
	await failures.getByText("unauthorized").waitFor();
	await failures.getByText("The customer").waitFor();
	await page.getByRole("region", { name: "Quota at the CAs" }).getByText("290 of 300 left").waitFor();
	await page.getByRole("region", { name: "Renewals this week" }).getByText("3", { exact: true }).waitFor();
	await page.getByRole("region", { name: "Nodes" }).getByText("Alive").first().waitFor();
	await page.getByRole("region", { name: "Nodes" }).getByText("Silent for").waitFor();
	await hasNoMarkup();
	await inspect(page, "21-overview");
}

async function search() {
	await page.getByRole("link", { name: "Domains", exact: true }).click();
	await page.getByLabel("Search").fill("needle");
	await view.locator(".domains li").nth(1).waitFor({ state: "detached" });
	await page.getByRole("link", { name: /shop\.needle-brand\.test/ }).waitFor();
	await inspect(page, "22-search");
	await page.getByLabel("Search").fill("a'b<c");
	await view.getByText("a part of a host name").waitFor();
	await page.getByLabel("Search").fill("no-such-name");
	await page.getByText("No domain is called like that.").waitFor();
}

async function failedDomain() {
	await page.goto(`${DASHBOARD}/#/domains/shop.failed.test?tenant=brand`);
	await view.getByText(EVIL).first().waitFor();
	await hasNoMarkup();
	await inspect(page, "23-failed");
	await page.getByRole("button", { name: "Suspend" }).click();
	await view.locator('[data-state="suspended"]').waitFor();
	await inspect(page, "24-suspended");
	await page.getByRole("button", { name: "Resume" }).click();
	await page.getByRole("button", { name: "Suspend" }).waitFor();
}

async function tenants() {
	await page.getByRole("link", { name: "Tenants" }).click();
	await view.getByText(EVIL).waitFor();
	await hasNoMarkup();
	await page.getByLabel("New tenant").fill("Not A Tenant");
	await page.getByRole("button", { name: "Make tenant" }).click();
	await page.locator("#id-error").getByText("a-z 0-9").waitFor();
	await inspect(page, "25-tenants");
	await page.getByLabel("New tenant").fill("brand-9");
	await page.getByRole("button", { name: "Make tenant" }).click();
	await page.getByRole("link", { name: "brand-9" }).waitFor();
	await page.getByRole("button", { name: "Portal link for brand", exact: true }).click();
	const link = await page.locator("dialog code").textContent();
	await inspect(page, "26-portal-link");
	await page.keyboard.press("Escape");
	const customer = await open();
	await customer.goto(link);
	await customer.getByRole("button", { name: "Open my domains" }).click();
	await customer.getByText(EVIL).waitFor();
	assert.equal(await customer.locator("#view img, #account img").count(), 0);
	assert.equal(await customer.locator("#nav").isHidden(), true, "no operator's pages");
	await customer.context().close();
}

async function explain() {
	await page.getByRole("link", { name: "Explain" }).click();
	await inspect(page, "27-explain");
	await page.getByLabel("Host name").fill("shop.failed.test");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "Explain shop.failed.test" }).waitFor();
	await view.getByText("unauthorized").first().waitFor();
	await view.getByText(EVIL).first().waitFor();
	await hasNoMarkup();
	await inspect(page, "28-explained");
	await page.getByLabel("Host name").fill("10.0.0.1");
	await page.keyboard.press("Enter");
	await page.locator("#explain-name-error").getByText("IP address").waitFor();
}

// A page that somebody else serves makes the browser send what it can: nothing changes.
async function crossSite() {
	const { url } = await ask("attack", {});
	await page.goto(url);
	await page.getByText("attacked").waitFor();
	await ask("unharmed", {});
	await page.goto(DASHBOARD);
	await page.getByRole("heading", { name: "Overview" }).waitFor();
}

async function logOut() {
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByRole("heading", { name: "Log in" }).waitFor();
	await page.reload();
	await page.getByRole("heading", { name: "Log in" }).waitFor();
}

await play([logIn, overview, search, failedDomain, tenants, explain, crossSite, logOut]);
