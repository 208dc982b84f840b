"use strict";
// Parallel coordinates: a line a job, an axis a key, and a brush or form fields to filter by.

const PARALLEL = { height: 350, top: 56, bottom: 18, side: 70, between: 110 };
const brushes = new Map();

function drawParallel() {
  const place = document.querySelector("#parallel .scroll");
  const side = columns[0].isNumeric ? PARALLEL.side : Math.max(PARALLEL.side, labelWidth(columns[0].choices));
  const width = Math.max(place.clientWidth, side + PARALLEL.side + PARALLEL.between * (columns.length - 1));
  const svg = canvas(place, width, PARALLEL.height, "Parallel coordinates of all jobs");
  const across = d3.scalePoint(
    columns.map((column) => column.id),
    [side, width - PARALLEL.side],
  );
  const range = [PARALLEL.height - PARALLEL.bottom, PARALLEL.top];
  const known = bestLast(d3.range(jobs.length).filter((job) => jobs[job].metric));
  const scales = columns.map((column) => {
    const values = known.map(column.value).filter((value) => value !== null);
    return scaleOf(column, range, values);
  });
  drawLines(svg, known, scales, across);
  brushes.clear();
  columns.forEach((column, at) => drawAxis(svg, column, scales[at], across(column.id)));
  filterLines();
}

/** A line ends where a job has no value, such as the objective of one that has failed. */
function drawLines(svg, known, scales, across) {
  const line = d3
    .line()
    .curve(d3.curveMonotoneX)
    .defined((point) => point !== null);
  const points = (job) =>
    columns.map((column, at) => {
      const value = column.value(job);
      return value === null ? null : [across(column.id), scales[at](value)];
    });
  const paths = svg.append("g").attr("class", "lines").selectAll("path").data(known).join("path");
  paths.attr("d", (job) => line(points(job))).attr("stroke", colourOf);
  asMarks(
    paths,
    (job) => [job],
    (job) => `${described(job)}: ${objectiveColumn.name} ${objectiveColumn.text(job)}`,
  );
}

function drawAxis(svg, column, scale, x) {
  const axis = svg.append("g").attr("class", "axis").attr("transform", `translate(${x},0)`);
  axis.call(axisOf(column === columns.at(-1) ? d3.axisRight : d3.axisLeft, scale, column, 6));
  if (!column.isNumeric) thinTicks(axis, column);
  // Between two axes lines end at the tick: its label stands above them.
  if (column !== columns[0] && column !== columns.at(-1)) axis.selectAll(".tick text").attr("dy", "-0.45em");
  const title = axis.append("text").attr("class", "name").attr("y", 16).attr("text-anchor", "middle");
  title
    .text(shortened(column.name))
    .append("title")
    .text(column.key ?? column.name);
  const kind = column === objectiveColumn ? better : column.isLog ? "logarithmic" : "";
  axis.append("text").attr("class", "kind").attr("y", 31).attr("text-anchor", "middle").text(kind);
  const brush = d3.brushY().extent([
    [-14, PARALLEL.top - 8],
    [14, PARALLEL.height - PARALLEL.bottom + 8],
  ]);
  const group = axis.append("g").attr("class", "brush").attr("data-key", column.id);
  brush.on("brush end", (event) => {
    if (event.sourceEvent) setFilter(column.id, chosen(column, scale, event.selection));
  });
  group.call(brush);
  brushes.set(column.id, { brush, group, scale, column });
  moveBrush(column.id);
}

/** Leave out names of choices that would stand on each other. */
function thinTicks(axis, column) {
  const every = Math.ceil((14 * column.choices.length) / (PARALLEL.height - PARALLEL.top - PARALLEL.bottom));
  axis
    .selectAll(".tick text")
    .filter((_, at) => at % every !== 0)
    .remove();
}

function chosen(column, scale, selection) {
  if (!selection) return null;
  const [top, bottom] = selection;
  if (column.isNumeric) return { low: scale.invert(bottom), high: scale.invert(top) };
  return new Set(column.choices.filter((choice) => scale(choice) >= top && scale(choice) <= bottom));
}

/** Show on the axis what was typed into the fields, or drawn before a redraw. */
function moveBrush(id) {
  const { brush, group, scale, column } = brushes.get(id);
  const filter = filters.get(id);
  if (!filter) return group.call(brush.move, null);
  const [low, high] = [PARALLEL.height - PARALLEL.bottom + 8, PARALLEL.top - 8];
  const within = (y) => Math.max(high, Math.min(low, Number.isFinite(y) ? y : y < 0 ? high : low));
  if (column.isNumeric) {
    const ends = [
      filter.high === Infinity ? high : within(scale(filter.high)),
      filter.low === -Infinity ? low : within(scale(filter.low)),
    ];
    return group.call(brush.move, ends[0] < ends[1] ? ends : [ends[0] - 1, ends[0] + 1]);
  }
  const places = [...filter].map((choice) => scale(choice));
  const isGap = column.choices.some(
    (each) => !filter.has(each) && scale(each) > d3.min(places) && scale(each) < d3.max(places),
  );
  return group.call(brush.move, places.length && !isGap ? [d3.min(places) - 8, d3.max(places) + 8] : null);
}

function filterLines() {
  d3.selectAll("#parallel .lines path").classed("out", (job) => !isShown(job));
  arm("#parallel");
}

function drawFields() {
  const form = d3.select("#parallel .fields");
  const sets = form.selectAll("fieldset").data(columns).join("fieldset");
  sets.append("legend").text((column) => column.name);
  sets.each(function (column) {
    const set = d3.select(this);
    if (column.isNumeric) drawRange(set, column);
    else drawChoices(set, column);
  });
  form.on("submit", (event) => event.preventDefault());
  onFilter(() => columns.forEach(showFields));
}

function drawRange(set, column) {
  for (const [name, label] of [
    ["low", "from"],
    ["high", "to"],
  ]) {
    const field = set.append("label").text(`${label} `).append("input");
    field.attr("type", "number").attr("step", "any").attr("name", name);
    field.attr("aria-label", `${column.name} ${label}`);
  }
  set.on("input", () => {
    const [low, high] = set
      .selectAll("input")
      .nodes()
      .map((node) => node.valueAsNumber);
    const isFree = Number.isNaN(low) && Number.isNaN(high);
    const ends = { low: Number.isNaN(low) ? -Infinity : low, high: Number.isNaN(high) ? Infinity : high };
    setFilter(column.id, isFree ? null : ends);
    moveBrush(column.id);
  });
}

function drawChoices(set, column) {
  const labels = set.selectAll("label").data(column.choices).join("label");
  labels
    .append("input")
    .attr("type", "checkbox")
    .attr("value", (choice) => choice)
    .property("checked", true);
  labels.append("span").text((choice) => choice);
  set.on("change", () => {
    const left = set
      .selectAll("input")
      .nodes()
      .filter((node) => node.checked)
      .map((node) => node.value);
    setFilter(column.id, left.length < column.choices.length ? new Set(left) : null);
    moveBrush(column.id);
  });
}

/** Show in the fields what was brushed, or cleared; what is being typed stays. */
function showFields(column) {
  const set = d3.selectAll("#parallel fieldset").filter((each) => each === column);
  const filter = filters.get(column.id);
  const inputs = set.selectAll("input").filter((_, at, nodes) => nodes[at] !== document.activeElement);
  if (!column.isNumeric) inputs.property("checked", (choice) => !filter || filter.has(choice));
  else inputs.property("value", (_, at, nodes) => shownEnd(filter?.[nodes[at].name]));
}

function shownEnd(value) {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : "";
}
