// Draws the charts of a report from the data in it. All of it is also said in the page, in words and tables.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STAGES = ["preprocess", "write", "kernel", "read", "postprocess"];
  const LETTERS = ["Ip", "W", "K", "R", "Op"];
  const STYLE = { background: "transparent", color: "var(--ink)", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };

  /** What a drawing is in, at the width it has now, and at each width it comes to have. */
  function draw(id, drawing) {
    const place = document.getElementById(id);
    if (!place) return () => {};
    let width = 0;
    const redraw = () => {
      const drawn = drawing(Math.max(280, width));
      // The place is an image with a text of its own: what is in it is not read out.
      for (const node of drawn) node.setAttribute("aria-hidden", "true");
      place.replaceChildren(...drawn);
    };
    new ResizeObserver(([{ contentRect }]) => {
      if (Math.abs(contentRect.width - width) < 1) return;
      width = contentRect.width;
      redraw();
    }).observe(place);
    return redraw;
  }

  /** The unit that times up to `longest` seconds are best read in. */
  function unitOf(longest) {
    if (longest >= 1) return { name: "s", per: 1 };
    if (longest >= 1e-3) return { name: "ms", per: 1e3 };
    if (longest >= 1e-6) return { name: "us", per: 1e6 };
    return { name: "ns", per: 1e9 };
  }

  /** A count as the page writes it: thousands apart, from five digits on. */
  const grouped = (n) => (n < 10000 ? String(n) : n.toLocaleString("en").replaceAll(",", "\u202f"));

  function pipeline(picture) {
    const SERIAL = "One after the other", RAN = "As it ran";
    const choices = [...document.querySelectorAll("input[name=view]")];
    const controls = document.querySelector("[data-controls=pipeline]");
    const failed = new Set(picture.failed);
    const span = ([unit, stage, item, start, length]) => ({ unit: picture.units[unit], stage, item, start, end: start + length });
    const ran = picture.spans.map(span);
    let view, serial, from, time;

    // A twentieth of room on either side; serial and buffered begin at the same place.
    function show(index) {
      view = picture.views[index];
      serial = view.spans.map(span);
      const longest = Math.max(view.serial, view.end - view.start, 1);
      from = -0.02 * longest;
      time = 1.05 * longest;
    }

    function zoom(how) {
      const middle = from + time / 2;
      if (how === "in" || how === "out") {
        time *= how === "in" ? 0.6 : 1 / 0.6;
        from = middle - time / 2;
      } else if (how === "reset") {
        show(picture.views.indexOf(view));
      } else {
        from += how === "later" ? time / 3 : -time / 3;
      }
    }

    function timeline(name, spans, origin, width) {
      const narrow = width < 600;
      const row = picture.units.length > 12 ? 18 : 24;
      const compared = ({ item }) => item >= view.first && item <= view.last;
      const seen = spans.filter(({ start, end }) => start - origin < from + time && end - origin > from);
      const unit = unitOf(time / 1e9);
      const scale = (t) => ((t - origin) / 1e9) * unit.per;
      const [left, right] = [scale(origin + from), scale(origin + from + time)];
      const clamp = (value) => Math.min(right, Math.max(left, value));
      const x1 = (d) => clamp(scale(d.start)), x2 = (d) => clamp(scale(d.end));
      const marginLeft = narrow ? 58 : 74;
      const px = (width - marginLeft - 12) / (right - left);
      // The longest text that fits: stage and item, or the item.
      const text = (d) => {
        const item = d.item + (failed.has(d.item) ? " \u2717" : "");
        const room = ((x2(d) - x1(d)) * px - 4) / 6.6;
        return [`${LETTERS[d.stage]} ${item}`, item].find((text) => text.length <= room) ?? "";
      };
      const title = (d) =>
        `${LETTERS[d.stage]} of item ${d.item}${failed.has(d.item) ? " (failed)" : ""}: ${scale(d.start).toPrecision(4)} to ` +
        `${scale(d.end).toPrecision(4)} ${unit.name} (${(scale(d.end) - scale(d.start)).toPrecision(3)} ${unit.name}) on ${d.unit}`;
      const svg = Plot.plot({
        width, marginLeft, marginRight: 12, marginTop: 4, marginBottom: 34,
        height: picture.units.length * row + 38,
        style: STYLE,
        x: { domain: [left, right], label: `${unit.name} since the first of these items began`, labelAnchor: "center", ticks: narrow ? 4 : 10 },
        y: { domain: picture.units, padding: 0.12, label: null, tickSize: 0 },
        marks: [
          Plot.ruleX([0], { stroke: "var(--line)" }),
          ...STAGES.map((stage, index) =>
            Plot.barX(seen.filter((d) => d.stage === index), {
              x1, x2, y: "unit", title,
              fill: stage === "postprocess" ? "url(#hatch)" : `var(--${stage})`,
              stroke: "var(--edge)", strokeWidth: 0.75,
              opacity: (d) => (compared(d) ? 1 : 0.3),
            })),
          Plot.text(seen.filter(compared), {
            x: (d) => (x1(d) + x2(d)) / 2, y: "unit", text, title, fill: "var(--on-bar)", fontSize: 11,
          }),
        ],
      });
      svg.insertAdjacentHTML("afterbegin",
        `<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
        `<rect width="5" height="5" fill="var(--postprocess)"/><rect width="1.2" height="5" fill="var(--edge)" opacity="0.35"/></pattern></defs>`);
      const heading = document.createElement("h3");
      heading.textContent = name;
      return [heading, svg];
    }

    const redraw = draw("pipeline-chart", (width) => [
      ...timeline(SERIAL, serial, 0, width),
      ...timeline(RAN, ran, view.start, width),
    ]);
    choices.forEach((choice, index) => {
      if (choice.checked) show(index);
      choice.addEventListener("change", () => { show(index); redraw(); });
    });
    controls.addEventListener("click", ({ target }) => {
      if (!target.dataset.zoom) return;
      zoom(target.dataset.zoom);
      redraw();
    });
    controls.hidden = false;
  }

  function latency({ from_s, step_s, counts, marks }) {
    const last = from_s + step_s * counts.length;
    const unit = unitOf(last);
    const columns = counts.map((items, i) => ({
      items, from: (from_s + i * step_s) * unit.per, to: (from_s + (i + 1) * step_s) * unit.per,
    }));
    const at = marks.filter(([, s]) => s <= last).map(([text, s], row) => {
      const late = (s - from_s) / (last - from_s) > 0.6;
      return { text, at: s * unit.per, up: 46 - 14 * row, anchor: late ? "end" : "start", dx: late ? -5 : 5 };
    });
    draw("latency-chart", (width) => [Plot.plot({
      width, height: 260, marginTop: 54, marginLeft: 58, marginBottom: 38, style: STYLE,
      x: { label: `latency (${unit.name})`, labelAnchor: "center", ticks: width < 600 ? 4 : 10 },
      y: { label: "items", grid: true, ticks: 4, tickFormat: grouped },
      marks: [
        Plot.rectY(columns, {
          x1: "from", x2: "to", y: "items", fill: "var(--accent)", fillOpacity: 0.75, insetLeft: 0.5, insetRight: 0.5,
          title: (d) => `${d.items} items from ${d.from.toPrecision(4)} to ${d.to.toPrecision(4)} ${unit.name}`,
        }),
        Plot.ruleY([0], { stroke: "var(--soft)" }),
        // One above the other, since they are often close.
        ...at.flatMap((mark) => [
          Plot.ruleX([mark], { x: "at", stroke: "var(--ink)", strokeDasharray: "3,3", insetTop: -mark.up }),
          Plot.text([mark], {
            x: "at", text: "text", frameAnchor: "top", lineAnchor: "top", dy: -mark.up, textAnchor: mark.anchor, dx: mark.dx,
          }),
        ]),
      ],
    })]);
  }

  function throughput({ planned, chosen, measured }) {
    const points = planned.map(([n, rate]) => ({ n, rate }));
    const ran = points.filter(({ n }) => n === chosen);
    const reached = measured === null ? [] : [{ n: chosen, rate: measured }];
    const title = ({ n, rate }) => `N = ${n}: ${rate.toPrecision(4)} items a second planned`;
    draw("throughput-chart", (width) => [Plot.plot({
      width, height: 300, marginLeft: 66, marginBottom: 38, marginTop: 26, marginRight: 20, style: STYLE,
      x: { label: "buffer sets a lane (N)", labelAnchor: "center", ticks: points.length <= 16 && width >= 600 ? points.map(({ n }) => n) : 6, tickFormat: "d", interval: 1, type: "linear" },
      y: { label: "items a second", grid: true, zero: true, ticks: 5, tickFormat: grouped },
      marks: [
        Plot.ruleY([0], { stroke: "var(--soft)" }),
        Plot.line(points, { x: "n", y: "rate", stroke: "var(--accent)", strokeWidth: 2 }),
        Plot.dot(points, { x: "n", y: "rate", stroke: "var(--accent)", fill: "var(--ground)", r: 3.5, title }),
        Plot.ruleX(ran, { x: "n", y: "rate", stroke: "var(--ink)", strokeDasharray: "3,3" }),
        Plot.dot(ran, { x: "n", y: "rate", stroke: "var(--ink)", strokeWidth: 2, r: 9, title }),
        Plot.dot(reached, {
          x: "n", y: "rate", symbol: "times", stroke: "var(--ink)", strokeWidth: 2.5, r: 5,
          title: ({ rate }) => `measured: ${rate.toPrecision(4)} items a second`,
        }),
      ],
    })]);
  }

  if (data.pipeline) pipeline(data.pipeline);
  if (data.latency) latency(data.latency);
  if (data.throughput) throughput(data.throughput);
})();
