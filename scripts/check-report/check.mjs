// Opens reports as a reader does and checks what they show.
//
//     npm ci --prefix scripts/check-report
//     node scripts/check-report/check.mjs target/debug/nbuffer [FOLDER]
//
// It needs Chromium (CHROMIUM=/usr/bin/chromium). Pages are made in FOLDER, or in one that goes away. At the end it
// breaks a page in one way after the other, and fails if that is not found.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { makePages } from "./pages.mjs";

const [nbuffer, kept] = process.argv.slice(2);
if (!nbuffer) throw new Error("which nbuffer? node check.mjs target/debug/nbuffer");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
  ],
});

/** What the browser complains about on a page, and what the page asks for. */
function listen(page, url, wrong) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (request.url() !== url) wrong.push(`asks for ${request.url()}`);
  });
}

/** Everything that is checked in the page itself; what is wrong, in sentences. */
function inspect() {
  const wrong = [];
  const summaries = {};
  for (const element of document.querySelectorAll("script[type='application/json']")) {
    summaries[element.id] = JSON.parse(element.textContent);
  }

  // Numbers are those of the summary, and written as such.
  const UNITS = { s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9, "%": 0.01, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, "": 1 };
  const numbers = [...document.querySelectorAll("data")];
  for (const { dataset, value, textContent } of numbers) {
    const { run, path, as } = dataset;
    const found = path.split(".").reduce((at, name) => at?.[name], summaries[run]);
    const told = `${run} ${path}, shown as \`${textContent}\`,`;
    if (found !== Number(value)) wrong.push(`${told} is ${value} in the page and ${found} in the summary`);
    const shown = textContent.replaceAll("\u202f", "").match(/^(-?\d+(?:\.(\d+))?) ?(\S*)$/);
    if (!shown || !(shown[3] in UNITS)) {
      wrong.push(`${told} is no number with a unit`);
      continue;
    }
    const unit = UNITS[shown[3]];
    const meant = as === "rest" ? 1 - found : found;
    const rounding = 0.5 * unit * 10 ** -(shown[2]?.length ?? 0);
    if (Math.abs(shown[1] * unit - meant) > rounding * 1.001) wrong.push(`${told} is ${meant}`);
  }
  if (numbers.length < 20) wrong.push(`only ${numbers.length} numbers say where they come from`);

  // The table of all numbers has all of them.
  const leaves = (value, path) =>
    typeof value === "object" ? Object.entries(value).flatMap(([name, below]) => leaves(below, [...path, name])) : [[path.join("."), value]];
  const listed = new Set([...document.querySelectorAll("#numbers tbody code")].map((code) => code.textContent));
  for (const [id, summary] of Object.entries(summaries)) {
    if (id === "data") continue;
    for (const [path] of leaves(summary, [])) if (!listed.has(path)) wrong.push(`${path} is not among all numbers`);
  }

  // Every chart is drawn, and told in words.
  const charts = [...document.querySelectorAll(".chart")];
  const wanted = Object.entries(summaries.data ?? {}).filter(([, drawn]) => drawn !== null).map(([name]) => `${name}-chart`);
  for (const id of wanted) if (!document.getElementById(id)) wrong.push(`there is no chart ${id}`);
  for (const chart of charts) {
    const told = chart.getAttribute("aria-label") ?? "";
    if (chart.getAttribute("role") !== "img" || told.length < 30) wrong.push(`${chart.id} has no text: \`${told}\``);
    if (!chart.closest("figure")?.querySelector("figcaption")?.textContent.trim()) wrong.push(`${chart.id} has no caption`);
    const drawn = [...chart.querySelectorAll("svg")];
    const marks = drawn.reduce((n, svg) => n + svg.querySelectorAll("g[aria-label] rect, g[aria-label] path, g[aria-label] circle").length, 0);
    if (drawn.length === 0 || marks < 2) wrong.push(`${chart.id} is not drawn: ${drawn.length} drawings, ${marks} marks`);
    for (const svg of drawn) {
      if (svg.getAttribute("aria-hidden") !== "true") wrong.push(`a drawing in ${chart.id} is read out`);
      if (svg.getBoundingClientRect().width > chart.getBoundingClientRect().width + 1) wrong.push(`${chart.id} is too wide`);
    }
  }
  // Each span of the compared items is a bar, serial above.
  const view = summaries.data?.pipeline?.views[document.querySelector("input[name=view]:checked")?.value];
  if (view) {
    const bars = document.querySelector("#pipeline-chart svg")?.querySelectorAll("g[aria-label=bar] rect").length ?? 0;
    const spans = view.spans.filter(([, , , , length]) => length > 0).length;
    if (bars < spans || bars > view.spans.length) wrong.push(`${bars} bars of ${view.spans.length} spans are drawn`);
  }

  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} px wide at ${innerWidth} px`);
  for (const element of document.querySelectorAll("main :not(svg *)")) {
    const { right } = element.getBoundingClientRect();
    if (right > innerWidth + 1 && !element.closest(".scrolls, .unseen, dialog")) {
      wrong.push(`<${element.localName} class="${element.className}"> reaches to ${Math.round(right)} px at ${innerWidth} px`);
    }
  }
  return wrong;
}

/** Works with the picture as somebody without a mouse does. */
async function operate(page, wrong) {
  const chart = page.locator("#pipeline-chart");
  const choices = page.locator("input[name=view]");
  if ((await choices.count()) < 2) return;
  let before = await chart.innerHTML();
  const changes = async (what) => {
    const after = await chart.innerHTML();
    if (after === before) wrong.push(`${what} changes nothing`);
    before = after;
  };
  await page.locator("input[name=view]:checked").focus();
  await page.keyboard.press("ArrowLeft");
  await changes("choosing another part with an arrow key");
  for (const name of ["Zoom in", "Later", "Zoom out", "Earlier", "Reset"]) {
    await page.getByRole("button", { name, exact: true }).focus();
    await page.keyboard.press("Enter");
    await changes(`\`${name}\``);
  }
}

/** What is wrong with a page; no more is looked for once `enough` of it is known. */
async function check(path, enough = () => false) {
  const url = pathToFileURL(path).href;
  const wrong = [];
  for (const [name, options] of Object.entries({
    "light, 1280 px": { colorScheme: "light", viewport: { width: 1280, height: 900 } },
    "dark, 1280 px": { colorScheme: "dark", viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" },
    "light, 400 px": { colorScheme: "light", viewport: { width: 400, height: 800 } },
    "dark, 400 px": { colorScheme: "dark", viewport: { width: 400, height: 800 } },
    "no scripts": { javaScriptEnabled: false, viewport: { width: 1280, height: 900 } },
  })) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const here = [];
    listen(page, url, here);
    await page.goto(url);
    if (options.javaScriptEnabled !== false) {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      here.push(...(await page.evaluate(inspect)));
      const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number));
      if ((ground[0] > 128) !== (options.colorScheme === "light")) here.push(`the ground is rgb(${ground})`);
      if (options.viewport.width === 1280) {
        // The policy lets no script in; this is the checker's own.
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
        for (const { id, help, nodes } of violations) here.push(`axe ${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
        if (!here.some(enough)) await operate(page, here).catch((error) => here.push(`cannot be operated: ${error.message}`));
        await page.emulateMedia({ media: "print" });
        if (await page.locator(".controls").first().isVisible()) here.push("buttons are printed");
      }
    } else {
      for (const section of await page.locator("main section").all()) {
        if ((await section.innerText()).trim().length < 60) here.push(`#${await section.getAttribute("id")} says nothing without scripts`);
      }
    }
    wrong.push(...here.map((what) => `${name}: ${what}`));
    await context.close();
    if (wrong.some(enough)) break;
  }
  return wrong;
}

/** Ways to break a page, and a word of what is to be said then. */
const DAMAGE = [
  ["a number", "items_per_s, shown as", (html) => html.replace(/(data-path="items_per_s">)\d/, "$19")],
  ["a value", "in the summary", (html) => html.replace(/<data value="[^"]*"( [^>]*data-path="wall_s")/, '<data value="1.5"$1')],
  ["the summary", "in the summary", (html) => html.replace('"wall_s":', '"wall_s":1')],
  ["a chart's data", "script", (html) => html.replace('"throughput":{"planned"', '"throughput":{"plan"')],
  ["the script", "Content Security Policy", (html) => html.replace("// Draws the charts", "// Draws charts")],
  ["an attack", "Content Security Policy", (html) => html.replace("</main>", "<script>alert(1)</script></main>")],
  ["a request", "asks for|Content Security Policy", (html) => html.replace("</main>", '<img alt="" src="https://example.invalid/x.png"></main>')],
  ["a text alternative", "has no text", (html) => html.replace(/(id="latency-chart"[^>]*) aria-label="[^"]*"/, "$1")],
  ["a name for a button", "axe", (html) => html.replace("</main>", "<button></button></main>")],
  ["a wide box", "px wide at 400 px|reaches to", (html) => html.replace("</main>", '<div style="width:500px">x</div></main>')],
  ["a colour scheme", "the ground is", (html) => html.replace("(prefers-color-scheme: dark)", "(prefers-color-scheme: none)")],
  ["the table", "not among all numbers", (html) => html.replace("<code>plan.binding</code>", "<code>plan.bound</code>")],
];

const folder = kept ?? mkdtempSync(join(tmpdir(), "check-report-"));
let failed = 0;
try {
  const pages = makePages(nbuffer, folder);
  for (const path of pages) {
    const wrong = await check(path);
    failed += wrong.length;
    console.log(`${wrong.length === 0 ? "ok  " : "FAIL"} ${basename(path)}: ${(readFileSync(path).length / 1000).toFixed(0)} kB`);
    for (const what of wrong) console.log(`       ${what}`);
  }
  const whole = readFileSync(pages[0], "utf8");
  for (const [what, word, damage] of DAMAGE) {
    const damaged = damage(whole);
    const path = join(folder, "damaged.html");
    writeFileSync(path, damaged);
    const says = (wrong) => new RegExp(word).test(wrong);
    const found = damaged !== whole && (await check(path, says)).find(says);
    if (!found) failed += 1;
    console.log(`${found ? "ok  " : "FAIL"} damage to ${what} is ${found ? `found: ${found.slice(0, 110)}` : "not found"}`);
  }
} finally {
  await browser.close();
  if (!kept) rmSync(folder, { recursive: true });
}
if (failed > 0) {
  console.log(`${failed} checks failed`);
  process.exitCode = 1;
}
