// Opens an app's page in Chromium, straight at an edge, and prints what the page found as JSON.
// node chat_page.mjs URL NAME ADDRESS CHROMIUM
import { chromium } from 'playwright-core';

const [url, name, address, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({
    executablePath, args: ['--no-sandbox', `--host-resolver-rules=MAP ${name} ${address}`],
});
const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
await page.goto(url);
await page.waitForFunction(() => document.title === 'done', null, { timeout: 60000 });
console.log(JSON.stringify(await page.evaluate(() => window.result)));
await browser.close();
