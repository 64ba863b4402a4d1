// The pages that are checked: made by nbuffer itself, of several kinds of runs.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TIMES = "--ip 1ms --w 200us --k 2ms --r 200us --op 500us";

/** Runs in virtual time, each with a page of its own and a summary. */
const RUNS = {
  "device-bound": `${TIMES} --cv 0.1 --items 200`,
  "host-bound": "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms --buffers 4 --host-threads 2 --cv 0.2 --items 300",
  "one-set": `${TIMES} --buffers 1 --items 100`,
  "two-lanes":
    "--ip 3ms --w 500us --k 1ms --r 500us --op 1ms --lanes 2 --overlap double-buffer --layout split --buffers 6+6 " +
    "--host-threads 3 --cv 0.4 --items 400",
  long: "--ip 40us --w 10us --k 20us --r 10us --op 10us --lanes 4 --buffers auto --cv 0.5 --items 100000",
  failing: `${TIMES} --fail kernel:50 --fail preprocess:48 --fail 99 --items 100`,
  short: `${TIMES} --items 7`,
  "single-item": `${TIMES} --items 1`,
};

const HOSTILE = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&`;

/** Makes all pages in a folder; their paths. */
export function makePages(nbuffer, folder) {
  const at = (name) => join(folder, name);
  const run = (...args) => execFileSync(nbuffer, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const pages = [];
  for (const [name, options] of Object.entries(RUNS)) {
    const json = run("simulate", ...options.split(" "), "--json", "--report", at(`${name}.html`));
    writeFileSync(at(`${name}.json`), json);
    pages.push(at(`${name}.html`));
  }
  const report = (page, ...summaries) => {
    run("report", ...summaries.map((name) => at(`${name}.json`)), "-o", at(page));
    pages.push(at(page));
  };

  // As of a run on a device: with everything that a summary can have, and names that would do harm.
  const full = JSON.parse(readFileSync(at("host-bound.json"), "utf8"));
  full.kernel.causes_s = { host_late: 0.1, read_late: 0.03, unknown: 0.005, no_free_set: 0 };
  Object.assign(full, {
    model: HOSTILE, device: [HOSTILE, "sim:metis"], engine: HOSTILE, accuracy: 0.9861, likely_cause: HOSTILE,
    bytes: { host: 123456789, device: 4096 }, remarks: [HOSTILE, "w".repeat(300)], interrupted: true,
  });
  full.buffers.why = HOSTILE;
  full.buffers.changes = [{ at_s: 0.25, after_items: 12345, inputs: 3, outputs: 4, host_threads: 2, why: HOSTILE }];
  full.plan.advice.push(HOSTILE);
  // Far from its plan.
  Object.assign(full.plan, { measured_period_s: 2 * full.plan.period_s, efficiency: 0.5 });
  writeFileSync(at("full.json"), JSON.stringify(full));

  report("from-a-summary.html", "two-lanes");
  report("hostile.html", "full");
  report("compared.html", "device-bound", "one-set");
  report("compared-with-itself.html", "device-bound", "device-bound");
  report("compared-hostile.html", "full", "failing");
  return pages;
}
