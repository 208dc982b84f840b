"use strict";
// Slices: the objective against each key, a point a job, and the means with their standard errors.

const SLICE = { height: 220, top: 10, right: 14, bottom: 44, left: 58 };
const MOST_MEANS = 12;
const SLICE_NOTE =
  "A point is a job; the line joins the means over everything else, such as seeds, and a bar reaches one standard error up and down.";

function drawSlices() {
  const place = d3.select("#slices .panels");
  const shown = shownJobs().filter((job) => objectiveColumn.value(job) !== null);
  const panels = place.selectAll("figure").data(axisKeys).join("figure");
  panels.each(function (key) {
    drawSlice(this, key, shown);
  });
  const text = shown.length ? SLICE_NOTE : "No job that is shown has an objective.";
  d3.select("#slices > .note").text(
    axisKeys.length ? text : "All jobs have the same setting: there is nothing to compare.",
  );
}

function drawSlice(place, key, shown) {
  const width = place.clientWidth;
  const svg = canvas(place, width, SLICE.height, `${objectiveColumn.name} against ${key.key}`);
  const column = { ...key, choices: key.choices };
  const x = scaleOf(column, [SLICE.left + 22, width - SLICE.right - 22], shown.map(key.value));
  const y = scaleOf(objectiveColumn, [SLICE.height - SLICE.bottom, SLICE.top], shown.map(objectiveColumn.value));
  const base = svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0,${SLICE.height - SLICE.bottom})`);
  base.call(axisOf(d3.axisBottom, x, key, 5));
  thinLabels(base, key, width);
  const side = svg.append("g").attr("class", "axis grid").attr("transform", `translate(${SLICE.left},0)`);
  side.call(axisOf(d3.axisLeft, y, objectiveColumn, 5).tickSizeInner(-(width - SLICE.left - SLICE.right)));
  const name = svg
    .append("text")
    .attr("class", "name")
    .attr("x", (width + SLICE.left) / 2)
    .attr("y", SLICE.height - 6);
  name.attr("text-anchor", "middle").text(key.isLog ? `${key.name} (logarithmic)` : key.name);
  drawMeans(svg, key, shown, x, y);
  const dots = svg.append("g").attr("class", "dots").selectAll("circle").data(shown).join("circle");
  const aside = apart(key, shown);
  dots
    .attr("cx", (job) => x(key.value(job)) + aside.get(job))
    .attr("cy", (job) => y(objectiveColumn.value(job)))
    .attr("r", 4.5);
  dots.attr("fill", colourOf);
  asMarks(
    dots,
    (job) => [job],
    (job) => `${described(job)}: ${objectiveColumn.name} ${objectiveColumn.text(job)}`,
  );
  arm(place);
}

/** Pixels that points of one value are moved aside by, so that all can be seen: evenly spread, the same each time. */
function apart(key, shown) {
  const moved = new Map();
  for (const [, group] of d3.group(shown, key.value)) {
    const width = Math.min(36, 6 * (group.length - 1));
    // Multiples of the golden ratio: no order of the jobs shows as a pattern.
    group.forEach((job, at) => moved.set(job, ((((at + 0.5) * 0.618034) % 1) - 0.5) * width));
  }
  return moved;
}

/** Leave out names of choices that would stand on each other. */
function thinLabels(axis, key, width) {
  if (key.isNumeric) return;
  const every = Math.ceil((key.choices.length * (labelWidth(key.choices) - 8)) / (width - SLICE.left));
  axis
    .selectAll(".tick text")
    .filter((_, at) => at % every !== 0)
    .remove();
}

/** Mean of values and its standard error, which one value alone does not have. */
function meanAndError(values) {
  const deviation = d3.deviation(values);
  return { mean: d3.mean(values), error: deviation === undefined ? null : deviation / Math.sqrt(values.length) };
}

function drawMeans(svg, key, shown, x, y) {
  const groups = d3.rollups(shown, (group) => meanAndError(group.map(objectiveColumn.value)), key.value);
  if (groups.length < 2 || groups.length > MOST_MEANS) return;
  const sorted = d3.sort(groups, ([value]) => x(value));
  const line = d3.line(
    ([value]) => x(value),
    ([, { mean }]) => y(mean),
  );
  svg.append("path").attr("class", "means").attr("d", line(sorted));
  const bars = sorted.filter(([, { error }]) => error);
  const ends = ([value, { mean, error }]) => {
    const [at, top, bottom] = [x(value), y(mean + error), y(mean - error)];
    return `M${at - 5},${top}h10m-5,0V${bottom}m-5,0h10`;
  };
  svg.append("g").attr("class", "errors").selectAll("path").data(bars).join("path").attr("d", ends);
}
