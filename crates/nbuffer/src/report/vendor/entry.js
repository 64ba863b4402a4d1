// What reports use of Observable Plot, and nothing else.
export { barX, dot, line, plot, rectY, ruleX, ruleY, text } from "@observablehq/plot";
