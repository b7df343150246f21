"use strict";
// Sorting, filtering and paging. Every column comes as sorted distinct values and, for each row, the
// place of its value among them; so sorting is counting, and only the rows shown are ever built.
(() => {
  const PAGE = 100;
  const byId = (id) => document.getElementById(id);
  const show = (value) => (value === null || value === undefined ? "" : String(value));

  function mark(headers, chosen, down) {
    headers.forEach((th) => th.removeAttribute("aria-sort"));
    chosen.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  // ---- the table of models, where there are many: small, in the page ---------------------------
  function manyModels(table) {
    const body = table.tBodies[0], rows = [...body.rows], headers = [...table.tHead.rows[0].cells];
    headers.forEach((th, i) => th.querySelector("button").addEventListener("click", () => {
      const down = th.getAttribute("aria-sort") === "ascending";
      const key = (row) => {
        const cell = row.cells[i];
        return "key" in cell.dataset ? Number(cell.dataset.key.replace("inf", "Infinity")) : cell.textContent;
      };
      const keyed = rows.map((row) => [key(row), row]);
      keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
      body.append(...keyed.map(([, row]) => row));
      mark(headers, th, down);
    }));
    const texts = rows.map((row) => row.textContent.toLowerCase());
    byId("find-model").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      let shown = 0;
      rows.forEach((row, i) => { row.hidden = !texts[i].includes(wanted); shown += !row.hidden; });
      byId("model-count").textContent = wanted ? `${shown} of ${rows.length}` : "";
    });
  }
  if (byId("models")) manyModels(byId("models"));

  // ---- every number: unpacked once -------------------------------------------------------------
  async function unpack() {
    const text = atob(byId("packed").textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function explore(table) {
    const columns = table.columns, n = table.rows;
    for (const column of Object.values(columns)) column.codes = Uint32Array.from(column.codes);
    let order = Uint32Array.from({ length: n }, (_, i) => i);
    let shown = order, first = 0;
    const selects = [...document.querySelectorAll("#explorer select")];
    const headers = [...byId("all").tHead.rows[0].cells];
    const body = byId("all").tBodies[0];

    for (const select of selects) {
      const levels = columns[select.dataset.column].levels;
      select.append(new Option("all", ""), ...levels.map((level, i) => new Option(level === "" ? "none" : level, i)));
    }

    // Which rows hold the searched text: looked for once in each distinct text, not in each row.
    function hits(wanted) {
      return table.text.map((name) => {
        const column = columns[name];
        return [column.codes, column.levels.map((level) => String(level).toLowerCase().includes(wanted))];
      });
    }
    function filter() {
      const wanted = byId("find").value.trim().toLowerCase();
      const found = wanted ? hits(wanted) : [];
      const fixed = selects.filter((s) => s.value !== "").map((s) => [columns[s.dataset.column].codes, Number(s.value)]);
      shown = order.filter((row) => fixed.every(([codes, code]) => codes[row] === code)
        && (!found.length || found.some(([codes, hit]) => hit[codes[row]])));
      first = 0;
      draw();
    }
    // Counting sort, stable: an earlier sort orders what this one leaves equal.
    function sort(name, down) {
      const { codes, levels } = columns[name], starts = new Uint32Array(levels.length + 1);
      const place = down ? (code) => levels.length - 1 - code : (code) => code;
      for (let i = 0; i < n; i++) starts[place(codes[i]) + 1]++;
      for (let k = 0; k < levels.length; k++) starts[k + 1] += starts[k];
      const sorted = new Uint32Array(n);
      for (const row of order) sorted[starts[place(codes[row])]++] = row;
      order = sorted;
      filter();
    }
    function draw() {
      const rows = [];
      for (const i of shown.subarray(first, first + PAGE)) {
        const row = document.createElement("tr");
        for (const th of headers) {
          const column = columns[th.dataset.column], cell = row.insertCell();
          cell.textContent = show(column.levels[column.codes[i]]);
          if (table.text.includes(th.dataset.column)) cell.className = "text";
          if (th.dataset.column === "verdict") cell.className = cell.textContent === "skip" ? "text skip-verdict" : `text ${cell.textContent}`;
        }
        rows.push(row);
      }
      body.replaceChildren(...rows);
      const last = Math.min(first + PAGE, shown.length);
      byId("count").textContent = shown.length
        ? `${first + 1} to ${last} of ${shown.length} (${n} in all)` : `none of ${n}`;
      byId("back").disabled = first === 0;
      byId("next").disabled = last === shown.length;
    }

    headers.forEach((th) => {
      if (table.text.includes(th.dataset.column)) th.className = "text";
      th.querySelector("button").addEventListener("click", () => {
        const down = th.getAttribute("aria-sort") === "ascending";
        mark(headers, th, down);
        sort(th.dataset.column, down);
      });
    });
    selects.forEach((select) => select.addEventListener("change", filter));
    byId("find").addEventListener("input", filter);
    byId("clear").addEventListener("click", () => {
      selects.forEach((select) => { select.value = ""; });
      byId("find").value = "";
      filter();
    });
    byId("back").addEventListener("click", () => { first = Math.max(0, first - PAGE); draw(); });
    byId("next").addEventListener("click", () => { first += PAGE; draw(); });

    // One model: its numbers against the truth, an engine a column.
    function sideBySide(title) {
      const code = columns.model.levels.indexOf(title), lines = new Map(), engines = new Set();
      const of = (name, i) => columns[name].levels[columns[name].codes[i]];
      for (let i = 0; i < n; i++) {
        if (columns.model.codes[i] !== code || of("check", i) !== "truth") continue;
        const key = JSON.stringify([of("quantity", i), of("label", i)]);
        if (!lines.has(key)) lines.set(key, new Map([["certified", [of("reference value", i), ""]]]));
        engines.add(of("candidate", i));
        lines.get(key).set(of("candidate", i), [of("candidate value", i), of("verdict", i)]);
      }
      const names = [...engines, "certified"];
      const head = document.createElement("tr");
      for (const name of ["quantity", ...names]) {
        const th = document.createElement("th");
        th.scope = "col";
        th.textContent = name;
        head.append(th);
      }
      const rows = [...lines].map(([key, values]) => {
        const row = document.createElement("tr");
        row.insertCell().textContent = JSON.parse(key).join(" ").trim();
        for (const name of names) {
          const [value, verdict] = values.get(name) || [null, ""];
          const cell = row.insertCell();
          cell.textContent = show(value);
          if (verdict === "fail" || verdict === "known") cell.className = verdict;
        }
        return row;
      });
      byId("estimates").tHead.replaceChildren(head);
      byId("estimates").tBodies[0].replaceChildren(...rows);
      byId("one-title").textContent = title;
      byId("one").hidden = rows.length === 0;
      const select = selects.find((s) => s.dataset.column === "model");
      select.value = code < 0 ? "" : String(code);
      filter();
      byId("one").focus();
      byId("one").scrollIntoView();
    }
    for (const button of document.querySelectorAll("#models button.link")) {
      button.addEventListener("click", () => sideBySide(button.textContent));
    }

    byId("waiting").hidden = true;
    byId("explorer").hidden = false;
    sort("digits", false);
    sort("verdict", false);
    mark(headers, headers.find((th) => th.dataset.column === "verdict"), false);
  }

  // After the first paint: nobody waits for the numbers to read the verdict.
  requestAnimationFrame(() => setTimeout(() => unpack().then(explore).catch((error) => {
    byId("waiting").textContent = `The numbers could not be unpacked here (${error.message}); report.json has them.`;
  })));
})();
