// What dashboard.py has Chromium do. Facts come by the environment: URL, TOKEN, READ, SERVER, PICTURES.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { URL: url, TOKEN: token, READ: read, SERVER: server, PICTURES: pictures } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SLOW = 30_000;
let failed = 0;

function expect(fact, what) {
  console.log(`${fact ? "ok    " : "FAIL  "}${what}`);
  failed += fact ? 0 : 1;
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A page of its own session, which notes what the browser complains of. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (it) => it.type() === "error" && page.complaints.push(it.text()));
  page.urls = [];
  page.on("request", (it) => page.urls.push(it.url()));
  await page.goto(url);
  return page;
}

async function signIn(page, given = token) {
  await page.getByLabel("Token").fill(given);
  await page.keyboard.press("Enter");
}

const tile = (page, name) => page.locator("#tiles > div", { hasText: name }).locator(".value");

/** Waits until a question about the page has an answer that is not falsy. */
async function until(what, question) {
  const end = Date.now() + SLOW;
  let found;
  while (!(found = await question()) && Date.now() < end) await new Promise((done) => setTimeout(done, 100));
  expect(found, what);
  return found;
}

/** axe-core in a world of the browser's own, since the page's policy lets no other script in. */
async function faults(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = (expression) => session.send("Runtime.evaluate", { expression, contextId, awaitPromise: true, returnByValue: true });
  await run(axe);
  const { result } = await run("axe.run(document).then((it) => it.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.html.slice(0, 160) + ' ' + n.failureSummary).slice(0, 3)]))");
  return result.value;
}

async function checkAccess(page, what) {
  const found = await faults(page);
  const serious = found.filter(([, impact]) => ["serious", "critical"].includes(impact));
  serious.forEach((it) => console.log(JSON.stringify(it, null, 1)));
  expect(!serious.length, `axe-core finds no serious fault: ${what} (${found.map(([id]) => id).join(", ") || "none at all"})`);
}

async function signsIn(page) {
  await until("it asks for a token", () => page.locator("#login").isVisible());
  await checkAccess(page, "sign-in");
  await signIn(page, "guessed");
  await until("one that is not known is told so", async () => (await page.locator("#notice").textContent()).includes("not known"));
  await signIn(page);
  await until("the right one opens the board", () => page.locator("#board").isVisible());
  expect(!page.urls.some((it) => it.includes(token)), "it is in no URL");
  const cookies = await page.context().cookies();
  expect(!cookies.length, "and in no cookie");
}

async function watches(page) {
  const first = await tile(page, "Requests").textContent();
  await until("requests a second are counted", async () => parseFloat(await tile(page, "Requests").textContent()) > 10);
  await until("and change", async () => (await tile(page, "Requests").textContent()) !== first);
  await until("there is a hit ratio", async () => parseFloat(await tile(page, "Hit ratio").textContent()) > 10);
  await until("and a latency", async () => / (µs|ms)/.test(await tile(page, "Latency").textContent()));
  await until("the chart shows hits", () => page.locator("#chart polygon.hit").count());
  const shops = await page.locator("#sites").textContent();
  expect(shops.includes("shop.test") && shops.includes("api.test"), "both sites are shown");
  await until("requests are shown as they come", async () => (await page.locator("#log tr").count()) > 20);
  await page.getByLabel("Filter").fill("broken");
  await until("and filtered", async () => {
    const rows = await page.locator("#log .url").allTextContents();
    return rows.length > 0 && rows.every((it) => it.includes("/broken"));
  });
  await page.getByLabel("Filter").fill("");
  await until("the most missed are told with how", async () => /pass|miss|error/.test(await page.locator("#missed").textContent()));
}

async function explainsAndPurges(page) {
  const target = "http://shop.test/news";
  await page.locator("#explain-url").fill(target);
  await page.locator("#explain button").click();
  await until("a page is explained", async () => /hit|stale/.test(await page.locator("#explained").textContent()));
  await page.locator("#purge-value").fill(target);
  await page.getByRole("button", { name: "Preview" }).click();
  // Two, while it is being refreshed.
  await until("a preview says what would go", async () => /would drop [12] object/.test(await page.locator("#purged").textContent()));
  await page.locator("#purge").getByRole("button", { name: "Purge" }).click();
  await until("the purge is counted", async () => /Purged: \d/.test(await page.locator("#purged").textContent()));
  await page.locator("#purge-kind").selectOption("all");
  await page.locator("#purge").getByRole("button", { name: "Purge" }).click();
  await until("a wide one asks back", () => page.locator("#sure").isVisible());
  await page.keyboard.press("Escape");
  await until("and is given up", async () => !(await page.locator("#sure").isVisible()));
  await page.locator("#purge-kind").selectOption("host");
  await page.locator("#purge-value").fill("nobody.test");
  await page.locator("#purge").getByRole("button", { name: "Purge" }).click();
  await page.locator("#sure-yes").click();
  await until("what is wrong is told", async () => (await page.locator("#purged .bad").count()) === 1);
  await page.locator("#purge-kind").selectOption("url");
}

async function drains(page) {
  const row = page.locator("#origins tr", { hasText: server }).filter({ hasText: "shop" });
  const set = async (name, wanted) => {
    await row.getByRole("button", { name }).focus();
    await page.keyboard.press("Enter");
    await until(`by keyboard, a server is set: ${wanted}`, async () => (await row.textContent()).includes(wanted));
    const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? "");
    expect(focused.startsWith(name), "and the focus stays");
  };
  await set("Drain", "drain");
  await set("Ready", "usable");
}

async function staysWhileReading(page) {
  await page.getByRole("button", { name: "Pause" }).click();
  // One look may be under way.
  await new Promise((done) => setTimeout(done, 1000));
  const before = await page.locator("#tiles").textContent();
  await new Promise((done) => setTimeout(done, 3000));
  expect((await page.locator("#tiles").textContent()) === before, "paused, it stays");
  await page.getByRole("button", { name: "Go on" }).click();
  await until("and goes on", async () => (await page.locator("#tiles").textContent()) !== before);
}

async function looksOnly() {
  const page = await open();
  await signIn(page, read);
  await until("a token to look with opens it", () => page.locator("#board").isVisible());
  await page.locator("#purge-value").fill("http://shop.test/news");
  await page.locator("#purge").getByRole("button", { name: "Purge" }).click();
  await until("and does not purge", async () => (await page.locator("#purged").textContent()).includes("Not allowed"));
  await page.getByRole("button", { name: "Sign out" }).click();
  expect(await page.locator("#login").isVisible(), "signed out, nothing is shown");
  await page.context().close();
}

const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

/** Each of them fits, and has its picture taken. */
async function looks() {
  for (const [name, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open({ viewport, colorScheme, deviceScaleFactor: 1 });
      await signIn(page);
      await page.locator("#log tr").first().waitFor();
      await new Promise((done) => setTimeout(done, pictures ? 25_000 : 5_000));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wide <= 0, `${name} ${colorScheme}: nothing is cut off sideways (${wide})`);
      await checkAccess(page, `${name} ${colorScheme}`);
      if (pictures) await page.screenshot({ path: `${pictures}/${name}-${colorScheme}.png`, fullPage: true });
      await page.context().close();
    }
  }
}

try {
  const page = await open();
  await signsIn(page);
  await watches(page);
  await explainsAndPurges(page);
  await drains(page);
  await staysWhileReading(page);
  const own = page.complaints.filter((it) => !/40[0134]/.test(it));
  expect(!own.length, `the browser has no complaint: ${own.join("; ") || "none"}`);
  const hosts = new Set(page.urls.filter((it) => !it.startsWith("data:")).map((it) => new URL(it).host));
  expect(hosts.size === 1, `no other host is asked: ${[...hosts].join(", ")}`);
  await looksOnly();
  await looks();
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
