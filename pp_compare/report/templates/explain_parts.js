"use strict";
// What both explanations draw: a scale under a slider, and weights of levels as bars.
const parts = (() => {
  const show = (x) => String(Number(x.toPrecision(5)));
  const space = "http://www.w3.org/2000/svg";
  const ink = { fill: "currentColor", "font-size": 12 };

  function node(svg, name, attributes, text) {
    const e = document.createElementNS(space, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    svg.append(e);
    return e;
  }

  // ticks: [share of the slider's length, text]; mark: share at which the estimate lies. The thumb of
  // a slider does not reach its ends: its middle runs from 8 to 552 of 560.
  function scale(svg, ticks, mark) {
    const sx = (share) => 8 + 544 * share;
    node(svg, "line", { x1: sx(0), x2: sx(1), y1: 18, y2: 18, stroke: "currentColor", opacity: 0.5 });
    let last = -Infinity;
    for (const [share, text] of ticks) {
      node(svg, "line", { x1: sx(share), x2: sx(share), y1: 18, y2: 23, stroke: "currentColor" });
      const room = 4 + 3.6 * text.length;
      if (sx(share) - room < last) continue;
      last = sx(share) + room;
      const anchor = share < 0.02 ? "start" : share > 0.98 ? "end" : "middle";
      node(svg, "text", { ...ink, x: share < 0.02 ? 1 : share > 0.98 ? 559 : sx(share), y: 37, "text-anchor": anchor }, text);
    }
    const x = sx(mark), anchor = mark < 0.12 ? "start" : mark > 0.88 ? "end" : "middle";
    node(svg, "path", { d: `M${x - 5},8L${x + 5},8L${x},17Z`, fill: "#d9822b", id: "mark" });
    node(svg, "text", { ...ink, x: mark < 0.12 ? x + 8 : mark > 0.88 ? x - 8 : x, y: mark < 0.12 || mark > 0.88 ? 15 : 6, "text-anchor": anchor, "font-size": 11 }, "estimate");
  }

  // Bars of one fixed effect's weights; the function that is returned moves the mixed model's.
  const MOST = 40;
  function bars(svg, levels, sizes, label, lm, limit) {
    const shown = Math.min(levels.length, MOST), high = 18, top = 8;
    const bottom = top + high * shown;
    svg.setAttribute("viewBox", `0 0 560 ${bottom + 40}`);
    const names = levels.map((name, j) => `${name.length > 14 ? name.slice(0, 13) + "\u2026" : name} (${sizes[j]})`);
    const left = 130, right = 548, reach = limit || 1;
    const sx = (v) => (left + right) / 2 + (right - left) / 2 * Math.max(-1, Math.min(1, v / reach));
    const bar = (v, y, fill) => node(svg, "rect", { x: Math.min(sx(0), sx(v)), width: Math.abs(sx(v) - sx(0)), y, height: 7, fill });
    const moving = [];
    for (let j = 0; j < shown; j++) {
      const y = top + high * j;
      node(svg, "text", { ...ink, x: left - 6, y: y + 12, "text-anchor": "end" }, names[j]);
      bar(lm[j], y + 1, "#8aa9c4");
      moving.push(bar(0, y + 8, "#d9822b"));
    }
    node(svg, "line", { x1: sx(0), x2: sx(0), y1: top, y2: bottom, stroke: "currentColor" });
    for (const v of [-reach, 0, reach]) node(svg, "text", { ...ink, x: v < 0 ? left : v > 0 ? right : sx(0), y: bottom + 15, "text-anchor": v < 0 ? "start" : v > 0 ? "end" : "middle" }, show(v));
    const more = levels.length > shown ? `; ${levels.length - shown} more in the table` : "";
    node(svg, "text", { ...ink, x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle" }, `weight in ${label}${more}`);
    return (weights) => moving.forEach((rect, j) => {
      rect.setAttribute("x", Math.min(sx(0), sx(weights[j])));
      rect.setAttribute("width", Math.abs(sx(weights[j]) - sx(0)));
    });
  }
  return { show, scale, bars };
})();
