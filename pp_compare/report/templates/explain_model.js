// Moves a model of several random effects along the multiple of their covariances; the page holds it
// fitted at every place of the slider.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("pooling");
  const said = document.getElementById("said");
  const show = parts.show, last = data.multiples.length - 1;
  slider.max = last;
  const ticks = data.multiples.map((m, i) => [i / last, m]).filter(([, m]) => m === 0 || Number.isInteger(Math.round(1e6 * Math.log10(m)) / 1e6))
    .map(([share, m]) => [share, m ? show(m) : "0"]);
  parts.scale(document.getElementById("scale"), ticks, data.estimate / last);

  const tables = data.effects.map((effect, i) => {
    const body = document.querySelector(`#moved${i + 1} tbody`);
    return effect.levels.map((level, j) => {
      const row = body.insertRow();
      const own = effect.own[j] === null ? "" : show(effect.own[j]);
      for (const text of [level, effect.sizes[j], own, "", ""]) row.insertCell().textContent = text;
      return row.cells;
    });
  });
  const k = data.told;
  const all = [...data.lmWeights[k], ...data.places.flatMap((place) => place.weights[k])];
  const move = parts.bars(document.getElementById("weights"), data.levels, data.sizes, data.labels[k],
    data.lmWeights[k], Math.max(...all.map(Math.abs)));

  function at(index) {
    const place = data.places[index];
    tables.forEach((rows, i) => rows.forEach((row, j) => {
      row[3].textContent = show(place.pooling[i][j]);
      row[4].textContent = show(place.predicted[i][j]);
    }));
    move(place.weights[k]);
    const effects = data.labels.slice(0, 6).map((label, i) => `${label} ${show(place.beta[i])}`).join(", ");
    const more = data.labels.length > 6 ? ` and ${data.labels.length - 6} more` : "";
    said.textContent = `covariances times ${show(data.multiples[index])}: ${effects}${more}`;
    slider.setAttribute("aria-valuetext", `times ${show(data.multiples[index])}`);
  }
  function atEstimate() {
    slider.value = data.estimate;
    at(data.estimate);
  }
  slider.addEventListener("input", () => at(Math.round(Number(slider.value))));
  document.getElementById("estimate").addEventListener("click", atEstimate);
  atEstimate();
})();
