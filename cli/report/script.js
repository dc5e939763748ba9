// What a page can do beyond being read: values of a chart under the pointer or by arrow keys, and the other theme.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function shown(value) {
  return Math.abs(value) >= 1e4 ? String(Math.round(value)) : String(Number(value.toPrecision(4)));
}

function enhance(svg) {
  const chart = JSON.parse(svg.dataset.chart);
  const [left, top, right, bottom] = chart.box;
  const [first, last] = chart.x;
  const places = [...new Set(chart.series.flatMap((s) => s.x))].sort((a, b) => a - b);
  const reading = document.createElement("output");
  reading.className = "reading";
  reading.setAttribute("aria-live", "polite");
  svg.after(reading);
  const cursor = document.createElementNS(SVG, "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);
  let at = null;

  function nearest(series, x) {
    let best = null;
    for (let i = 0; i < series.x.length; ++i) {
      if (series.y[i] === null) continue;
      if (best === null || Math.abs(series.x[i] - x) < Math.abs(series.x[best] - x)) best = i;
    }
    return best;
  }

  function show(index) {
    at = Math.min(Math.max(index, 0), places.length - 1);
    const x = places[at];
    const place = left + ((x - first) / (last - first)) * (right - left);
    cursor.setAttribute("d", `M${place} ${top}V${bottom}`);
    const values = chart.series.flatMap((s) => {
      const i = nearest(s, x);
      return i === null ? [] : [`${s.name} ${shown(s.y[i])}`];
    });
    reading.textContent = `${chart.label} ${shown(x)}: ${values.join(", ")}`;
  }

  function hide() {
    cursor.removeAttribute("d");
    reading.textContent = "";
    at = null;
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const x = first + ((across - left) / (right - left)) * (last - first);
    show(places.reduce((best, p, i) => (Math.abs(p - x) < Math.abs(places[best] - x) ? i : best), 0));
  });
  svg.addEventListener("pointerleave", () => {
    if (document.activeElement !== svg) hide();
  });
  svg.addEventListener("blur", hide);
  svg.addEventListener("focus", () => {
    if (at === null) show(places.length - 1);
  });
  svg.addEventListener("keydown", (event) => {
    const leap = Math.max(1, Math.round(places.length / 10));
    const now = at === null ? places.length - 1 : at;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - leap, PageDown: now + leap, Home: 0,
                 End: places.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
  svg.setAttribute("role", "application"); // so that screen readers hand the arrow keys on
  svg.setAttribute("aria-roledescription", "line chart; arrow keys read its values");
}

document.querySelectorAll("svg[data-chart]").forEach(enhance);

const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark"
                                  : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Paper cannot be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
