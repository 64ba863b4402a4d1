// Bundles what reports draw with into `plot.min.js`, and the licences of what is in it into `LICENSES.txt`.
//
//     npm ci && npm run build     after a change of `entry.js` or of a version
//     npm ci && npm run check     whether the two files are what these versions give

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));

const bundled = await build({
  entryPoints: ["entry.js"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "Plot",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  write: false,
});

// Only packages that left something in the bundle.
const inputs = Object.values(bundled.metafile.outputs)[0].inputs;
const packages = new Set();
for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
  const name = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
  if (name && bytesInOutput > 0) packages.add(name);
}

const licences = [...packages].sort().map((name) => {
  const folder = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  if (!file) throw new Error(`${name} ${version} brings no licence file`);
  const text = readFileSync(join(folder, file), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});

const files = {
  "plot.min.js": bundled.outputFiles[0].text,
  "LICENSES.txt": `plot.min.js holds parts of these packages.\n\n${licences.join(`\n${"-".repeat(80)}\n\n`)}`,
};
const check = process.argv.includes("--check");
for (const [file, text] of Object.entries(files)) {
  if (!check) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`${file} is not what its sources give: npm run build`);
    process.exitCode = 1;
  }
  console.log(`${file}: ${text.length} bytes`);
}
