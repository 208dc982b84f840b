"use strict";
// What charts share: colours, scales, axes, marks that can be pointed at and walked through by arrow keys.

const SEQUENCES = {
  light: ["#cbbf9f", "#8aa5a8", "#3f7796", "#15324f"],
  dark: ["#57503f", "#4f7c8c", "#86bede", "#e6f5ff"],
};
// Chosen for distance: also for people with deuteranopia, protanopia and tritanopia (simulated after Machado et al.,
// 2009) each is 21 or more (CIE 1976) from the others and from a highlight. Contrast to the ground is 3 or more.
const CHOICES = {
  light: ["#0072b2", "#b47878", "#5a3c5a", "#87964b", "#4b2da5", "#782d1e"],
  dark: ["#56b4e9", "#d21e5a", "#e1e1b4", "#695ad2", "#c33c96", "#876900"],
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const sequence = (share) => d3.interpolateRgbBasis(SEQUENCES[isDark() ? "dark" : "light"])(share);

/** Black or white, whichever is read better on a colour. */
function inkOn(colour) {
  const { r, g, b } = d3.rgb(colour);
  const [red, green, blue] = [r, g, b].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

/** Colours of jobs by a column. The objective goes by rank, so that one failure does not bleach all others. */
function colouring(column) {
  const known = d3.range(jobs.length).filter((job) => column.value(job) !== null);
  if (!column.isNumeric) {
    const palette = CHOICES[isDark() ? "dark" : "light"];
    const colour = (choice) => palette[column.choices.indexOf(choice) % palette.length];
    return { of: (job) => colour(column.value(job)), items: column.choices.map((choice) => [choice, colour(choice)]) };
  }
  const values = known.map(column.value).sort(d3.ascending);
  const isObjective = column === objectiveColumn;
  const sign = isObjective && objective.mode === "min" ? 1 : 0;
  const scale = (column.isLog ? d3.scaleLog() : d3.scaleLinear()).domain(extent(values, column.isLog)).range([0, 1]);
  const rank = (value) => (values.length > 1 ? d3.bisectCenter(values, value) / (values.length - 1) : 1);
  const share = (value) => (isObjective ? Math.abs(sign - rank(value)) : scale(value));
  const ends = isObjective ? ["worst", "best"] : values.length ? [ticked(values[0]), ticked(values.at(-1))] : ["", ""];
  return { of: (job) => (column.value(job) === null ? "var(--muted)" : sequence(share(column.value(job)))), ends };
}

let colours = null;
const colourOf = (job) => colours.of(job);

/** Lowest and highest value, a little apart where they are equal. */
function extent(values, isLog) {
  const [low, high] = d3.extent(values);
  if (low === undefined) return isLog ? [1, 10] : [0, 1];
  if (low !== high) return [low, high];
  return isLog ? [low / 2, low * 2] : [low - (Math.abs(low) || 1) / 2, low + (Math.abs(low) || 1) / 2];
}

/** A scale of values onto pixels: linear, by decades, or one place a choice. */
function scaleOf(column, range, values) {
  if (!column.isNumeric) return d3.scalePoint(column.choices, range).padding(0.5);
  const scale = (column.isLog ? d3.scaleLog() : d3.scaleLinear()).domain(extent(values, column.isLog)).range(range);
  return column.isLog ? scale : scale.nice(5);
}

/** A number as short as it can be, for axes. */
function ticked(value) {
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e5)) return String(Number(value.toPrecision(6)));
  return Number(value.toPrecision(6)).toExponential().replace("+", "");
}

/** An axis with few ticks; of a logarithmic one at powers of ten. */
function axisOf(make, scale, column, count) {
  const axis = make(scale).tickSizeOuter(0).tickPadding(6);
  if (!column.isNumeric) return axis.tickFormat(shortened);
  if (!column.isLog) {
    const ticks = scale.ticks(count);
    const areWhole = column.numbers?.every((number) => number === null || Number.isInteger(number));
    return axis.tickValues(areWhole ? ticks.filter(Number.isInteger) : ticks).tickFormat(ticked);
  }
  const [low, high] = scale.domain().map(Math.log10);
  const powers = d3.range(Math.ceil(low - 1e-9), Math.floor(high + 1e-9) + 1);
  const every = Math.ceil(powers.length / Math.max(count, 2));
  const values = powers.filter((_, at) => at % every === 0).map((power) => 10 ** power);
  return axis.tickValues(values.length > 1 ? values : scale.ticks(3)).tickFormat(ticked);
}

function shortened(text) {
  const whole = String(text);
  return whole.length > 18 ? `${whole.slice(0, 17)}…` : whole;
}

/** Pixels that the labels of a column are wide. */
function labelWidth(labels) {
  return 7 * Math.max(3, ...labels.map((label) => shortened(label).length)) + 14;
}

/** An empty chart, as wide as its place; `label` is what a screen reader says of it. */
function canvas(place, width, height, label) {
  return d3
    .select(place)
    .html("")
    .append("svg")
    .attr("width", width)
    .attr("height", height)
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "group")
    .attr("aria-label", `${label}; arrow keys walk through it`);
}

/** Make elements marks: they highlight their jobs when they are pointed at, or reached by arrow keys. */
function asMarks(selection, jobsAt, label) {
  return selection
    .classed("mark", true)
    .attr("tabindex", -1)
    .attr("role", "img")
    .attr("data-jobs", (each) => jobsAt(each).join(","))
    .attr("aria-label", label);
}

/** One mark of a chart can be reached by Tab; arrow keys lead from there. */
function arm(place) {
  const marks = d3.select(place).selectAll(".mark").attr("tabindex", -1);
  marks.filter(":not(.out)").each(function (_, at) {
    if (at === 0) this.setAttribute("tabindex", 0);
  });
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

/** Follow pointer and keyboard over marks and rows, on all of the page. */
function followMarks() {
  const tip = document.getElementById("tip");
  const end = () => {
    tip.hidden = true;
    highlight([]);
  };
  const show = (target, x, y) => {
    const mark = target.closest("[data-jobs]");
    if (!mark) return end();
    highlight(jobsOf(mark));
    tip.hidden = !mark.classList.contains("mark");
    if (tip.hidden) return undefined;
    tip.textContent = mark.getAttribute("aria-label");
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
    return undefined;
  };
  document.addEventListener("pointerover", (event) => show(event.target, event.clientX, event.clientY));
  document.addEventListener("focusin", (event) => {
    const box = event.target.getBoundingClientRect();
    show(event.target, box.left + box.width / 2, box.top + box.height / 2);
  });
  document.addEventListener("focusout", end);
  document.documentElement.addEventListener("pointerleave", end);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
    if (event.target.classList.contains("mark") && event.key in STEPS) walk(event);
  });
}

function walk(event) {
  const marks = [...event.target.closest("svg").querySelectorAll(".mark:not(.out)")];
  const next = marks.indexOf(event.target) + STEPS[event.key];
  const chosen = marks[Math.max(0, Math.min(marks.length - 1, next))];
  event.preventDefault();
  event.target.setAttribute("tabindex", -1);
  chosen.setAttribute("tabindex", 0);
  chosen.focus();
}
