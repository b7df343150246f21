// Moves the line and the predicted means with tau2 / sigma2. Generalised least squares of a random
// intercept needs no rows: the within-cluster cross-products and each cluster's size and means do.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("pooling");
  const said = document.getElementById("said");
  const svg = document.getElementById("moving");
  const body = document.querySelector("#moved tbody");
  const p = data.labels.length, m = data.clusters.length;
  const rows = data.sizes.reduce((a, b) => a + b, 0);
  const show = parts.show;

  // The slider moves log(1 + n ratio) of an average cluster: 0 at 0, a logarithm far from it. It ends
  // well past the estimate, where nothing is pooled any more.
  const STEPS = 1000, size = rows / m;
  const end = Math.max(Math.log1p(data.ratio * size) + 4, 7);
  const ratioAt = (position) => Math.expm1(end * position / STEPS) / size;
  const positionOf = (ratio) => STEPS * Math.log1p(ratio * size) / end;

  function solve(A, b) {
    const M = A.map((row, i) => [...row, b[i]]);
    for (let k = 0; k < p; k++) {
      let best = k;
      for (let i = k + 1; i < p; i++) if (Math.abs(M[i][k]) > Math.abs(M[best][k])) best = i;
      [M[k], M[best]] = [M[best], M[k]];
      for (let i = k + 1; i < p; i++) {
        const f = M[i][k] / M[k][k];
        for (let j = k; j <= p; j++) M[i][j] -= f * M[k][j];
      }
    }
    const x = Array(p).fill(0);
    for (let k = p - 1; k >= 0; k--) {
      x[k] = M[k][p];
      for (let j = k + 1; j < p; j++) x[k] -= M[k][j] * x[j];
      x[k] /= M[k][k];
    }
    return x;
  }

  // X'V^-1X = within + sum_j n_j / (1 + n_j ratio) xbar_j xbar_j', and the same for X'V^-1y.
  function fixedEffects(ratio) {
    const A = data.within.map((row) => [...row]), b = [...data.withinResponse];
    data.means.forEach((x, j) => {
      const n = data.sizes[j], w = n / (1 + n * ratio);
      for (let r = 0; r < p; r++) {
        for (let c = 0; c < p; c++) A[r][c] += w * x[r] * x[c];
        b[r] += w * x[r] * data.observed[j];
      }
    });
    return solve(A, b);
  }

  // What each cluster says in a fixed effect: the sum of its rows' weights, A^-1 n_j xbar_j / (1 + n_j ratio).
  function clusterWeights(ratio) {
    const A = data.within.map((row) => [...row]);
    const pulls = data.means.map((x, j) => x.map((v) => v * data.sizes[j] / (1 + data.sizes[j] * ratio)));
    data.means.forEach((x, j) => x.forEach((v, r) => x.forEach((u, c) => { A[r][c] += v * pulls[j][c]; })));
    const columns = pulls.map((pull) => solve(A, pull));
    return data.labels.map((_, k) => columns.map((column) => column[k]));
  }

  const fixedPart = (beta) => data.means.map((x) => x.reduce((sum, v, k) => sum + v * beta[k], 0));
  function predict(ratio) {
    const beta = fixedEffects(ratio), line = fixedPart(beta);
    const weights = data.sizes.map((n) => n * ratio / (1 + n * ratio));
    const predicted = weights.map((w, j) => w * data.observed[j] + (1 - w) * line[j]);
    return { beta, line, weights, predicted };
  }

  const left = 64, right = 552, top = 12, bottom = 340;
  const lm = fixedPart(data.lm);
  const all = [...data.observed, ...lm, ...predict(data.ratio).line, ...fixedPart(fixedEffects(ratioAt(STEPS)))];
  const low = Math.min(...all), span = (Math.max(...all) - low) || 1;
  // Far from 0 and close together: ticks are differences, or they would all read the same.
  const base = Math.abs(low) > 1e3 * span ? Number(low.toPrecision(6)) : 0;
  const xs = data.place, x0 = Math.min(...xs) - data.width, x1 = Math.max(...xs) + data.width;
  const sx = (x) => left + (right - left) * (x - x0) / (x1 - x0);
  const sy = (y) => bottom - (bottom - top) * (y - low + 0.06 * span) / (1.12 * span);

  function node(name, attributes, text) {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    svg.append(e);
    return e;
  }
  function path(line) {
    if (data.ends) {
      const at = (value) => line[data.second.indexOf(value)];
      return `M${sx(data.ends[0])},${sy(at(false))}L${sx(data.ends[1])},${sy(at(true))}`;
    }
    const order = xs.map((_, j) => j).sort((a, b) => xs[a] - xs[b]);
    return "M" + order.map((j) => `${sx(xs[j] - 0.5)},${sy(line[j])}L${sx(xs[j] + 0.5)},${sy(line[j])}`).join("L");
  }
  function niceStep(range) {
    const raw = range / 5, unit = 10 ** Math.floor(Math.log10(raw));
    return unit * [1, 2, 5, 10].find((k) => k * unit >= raw);
  }

  function frame() {
    const step = niceStep(span);
    for (let k = Math.ceil((low - base) / step); base + k * step <= low + span; k++) {
      const y = base + k * step;
      node("line", { x1: left, x2: right, y1: sy(y), y2: sy(y), stroke: "currentColor", opacity: 0.2 });
      node("text", { x: left - 6, y: sy(y) + 4, "text-anchor": "end", "font-size": 12, fill: "currentColor" }, show(k * step));
    }
    const middle = (top + bottom) / 2;
    node("text", { x: 14, y: middle, "text-anchor": "middle", "font-size": 13, fill: "currentColor",
      transform: `rotate(-90 14 ${middle})` }, data.response + (base ? ` minus ${base}` : ""));
    if (m <= 24) {
      const room = (right - left) / (m + 1) / 7;
      data.clusters.forEach((c, j) => {
        const name = c.length > room ? c.slice(0, Math.max(1, room - 1)) + "\u2026" : c;
        node("text", { x: sx(xs[j]), y: bottom + 16, "text-anchor": "middle", "font-size": 12, fill: "currentColor" }, name);
      });
    }
    const levels = data.ends ? `: ${data.levels[0]} left, ${data.levels[1]} right` : "";
    node("text", { x: (left + right) / 2, y: bottom + 44, "text-anchor": "middle", "font-size": 13, fill: "currentColor" }, data.group + levels);
    node("path", { d: path(lm), fill: "none", stroke: "currentColor", "stroke-width": 2 });
  }

  frame();
  const dashed = node("path", { fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": "7 5", id: "mixed" });
  const largest = Math.max(...data.sizes);
  const side = 0.16 * data.width;
  data.observed.forEach((y, j) => node("circle", { cx: sx(xs[j] - side), cy: sy(y),
    r: 4 + 8 * Math.sqrt(data.sizes[j] / largest), fill: "none", stroke: "#3a86c8", "stroke-width": 2 }));
  const dots = data.observed.map((_, j) => node("circle", { cx: sx(xs[j] + side), cy: 0, r: 6, fill: "#d9822b" }));
  const cells = data.clusters.map((c, j) => {
    const row = body.insertRow();
    const empty = ["", "", ...data.shown.map(() => "")];
    for (const text of [c, data.sizes[j], show(data.observed[j]), ...empty]) row.insertCell().textContent = text;
    return row.cells;
  });

  const RATIOS = [0, 0.001, 0.01, 0.1, 1, 10, 100, 1000, 1e4, 1e5, 1e6];
  const ticks = RATIOS.map((r) => [positionOf(r) / STEPS, show(r)]).filter(([share]) => share <= 1);
  parts.scale(document.getElementById("scale"), ticks, positionOf(data.ratio) / STEPS);
  const told = data.told;
  const reach = [data.lmWeights[told], ...[0, 0.25, 0.5, 0.75, 1].map((s) => clusterWeights(ratioAt(s * STEPS))[told])];
  const moveWeights = parts.bars(document.getElementById("weights"), data.clusters, data.sizes, data.labels[told],
    data.lmWeights[told], Math.max(...reach.flat().map(Math.abs)));

  function move(ratio) {
    const now = predict(ratio), says = clusterWeights(ratio);
    moveWeights(says[told]);
    dashed.setAttribute("d", path(now.line));
    dots.forEach((dot, j) => dot.setAttribute("cy", sy(now.predicted[j])));
    cells.forEach((row, j) => {
      row[3].textContent = show(now.weights[j]);
      row[4].textContent = show(now.predicted[j]);
      data.shown.forEach((k, i) => { row[5 + i].textContent = show(says[k][j]); });
    });
    const effects = data.labels.slice(0, 6).map((label, k) => `${label} ${show(now.beta[k])}`).join(", ");
    const more = p > 6 ? ` and ${p - 6} more` : "";
    said.textContent = `tau2 / sigma2 = ${show(ratio)}: ${effects}${more}`;
    slider.setAttribute("aria-valuetext", show(ratio));
  }
  function atEstimate() {
    slider.value = positionOf(data.ratio);
    move(data.ratio);
  }
  slider.addEventListener("input", () => move(ratioAt(Number(slider.value))));
  document.getElementById("estimate").addEventListener("click", atEstimate);
  atEstimate();
})();
