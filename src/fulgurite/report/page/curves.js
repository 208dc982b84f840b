"use strict";
// Learning curves: a metric over epochs or seconds, a line a job or, with the seeds folded, a line and a band a setting.

const CURVES = { height: 320, top: 14, right: 16, bottom: 40, left: 62 };

function drawMetrics() {
  const names = data.curves.names;
  const select = d3.select("#metric");
  select
    .selectAll("option")
    .data(names)
    .join("option")
    .attr("value", (name) => name)
    .text((name) => name);
  select.property("value", names.includes(objective.metric) ? objective.metric : names[0]);
  select.on("change", drawCurves);
  d3.select("#folded").on("change", drawCurves);
  d3.select("#timed").on("change", drawCurves);
  onFilter(drawCurves);
}

/** Points [epoch, value] of a job; those without a value are left out. */
function pointsOf(job, name) {
  const { epochs, values } = data.curves.jobs[job];
  const column = values[name] ?? [];
  return epochs.map((epoch, at) => [epoch, column[at] ?? null]).filter((point) => point[1] !== null);
}

const isTimed = () => document.getElementById("timed").checked;

/** A job's seconds an epoch: its time in equal parts, since no epoch is timed in its files. */
function pace(job) {
  const epochs = data.curves.jobs[job].epochs.at(-1);
  return jobs[job].seconds && epochs ? jobs[job].seconds / epochs : null;
}

/** Points with seconds in the place of epochs; those of several jobs by the mean of their paces. */
function timed(line) {
  if (!isTimed()) return line;
  const seconds = d3.mean(line.jobs, pace);
  const points = line.points.map(([epoch, ...values]) => [epoch * seconds, ...values]);
  return { ...line, points: seconds === undefined ? [] : points };
}

/** Lines to draw: their jobs, and points [epoch, value, low, high]. */
function linesOf(name) {
  const shown = bestLast(shownJobs().filter((job) => pointsOf(job, name).length));
  if (!document.getElementById("folded").checked) {
    return shown.map((job) => ({
      jobs: [job],
      points: pointsOf(job, name).map(([epoch, value]) => [epoch, value, value, value]),
    }));
  }
  const left = new Set(shown);
  const groups = data.rows
    .toReversed()
    .map((row) => row.jobs.filter((job) => left.has(job)))
    .filter((group) => group.length);
  return groups.map((group) => ({ jobs: group, points: meanOf(group, name) }));
}

/** Mean at each epoch that all of the jobs have, and one sample deviation to both sides. */
function meanOf(group, name) {
  const byEpoch = d3.rollup(
    group.flatMap((job) => pointsOf(job, name)),
    (points) => points.map((point) => point[1]),
    (point) => point[0],
  );
  const whole = [...byEpoch].filter(([, values]) => values.length === group.length).sort((a, b) => a[0] - b[0]);
  return whole.map(([epoch, values]) => {
    const [mean, deviation] = [d3.mean(values), d3.deviation(values) ?? 0];
    return [epoch, mean, mean - deviation, mean + deviation];
  });
}

function drawCurves() {
  const place = document.querySelector("#curves .chart");
  const name = document.getElementById("metric").value;
  const lines = linesOf(name).map(timed).filter((line) => line.points.length);
  const note = d3.select("#curves > .note");
  if (!lines.length) {
    place.textContent = "";
    note.text(
      data.curves.names.length
        ? "No job that is shown has logged this metric."
        : "No job has a metrics.csv with epochs; logger=csv writes one.",
    );
    return;
  }
  const every = data.curves.every;
  const last = every === 1 ? "" : ` Of the epochs each ${every}th and the last are drawn, to keep the page small.`;
  const time = " A job's seconds are shared out evenly over its epochs; jobs of one fused program have its time.";
  note.text(`The values are those at the end of each epoch.${isTimed() ? time : ""}${last}`);
  drawCurve(place, name, lines);
}

function drawCurve(place, name, lines) {
  const width = place.clientWidth;
  const svg = canvas(place, width, CURVES.height, `${name} over ${isTimed() ? "seconds" : "epochs"}`);
  const points = lines.flatMap((line) => line.points);
  const values = points.map((point) => point[1]);
  const isLog = d3.min(values) > 0 && d3.max(values) / d3.min(values) >= 100;
  const column = { isNumeric: true, isLog };
  // A band may reach to zero and below, where a logarithmic axis does not.
  const bands = isLog ? values : points.flatMap((point) => [point[2], point[3]]);
  const x = d3.scaleLinear(extent(points.map((point) => point[0])), [CURVES.left, width - CURVES.right]);
  const y = scaleOf(column, [CURVES.height - CURVES.bottom, CURVES.top], bands);
  drawGrid(svg, x, y, column, width);
  const label = svg
    .append("text")
    .attr("class", "name")
    .attr("x", (width + CURVES.left) / 2)
    .attr("y", CURVES.height - 6);
  const across = isTimed() ? "seconds" : "epoch";
  label.attr("text-anchor", "middle").text(isLog ? `${across} (${name} on a logarithmic axis)` : across);
  const below = (value) => y(isLog ? Math.max(value, y.domain()[0]) : value);
  const area = d3
    .area()
    .x((point) => x(point[0]))
    .y0((point) => below(point[2]))
    .y1((point) => below(point[3]));
  const groups = svg.append("g").attr("class", "lines").selectAll("g").data(lines).join("g");
  groups
    .filter((line) => line.jobs.length > 1)
    .append("path")
    .attr("class", "band")
    .attr("d", (line) => area(line.points))
    .attr("fill", (line) => colourOf(line.jobs[0]));
  groups
    .append("path")
    .attr("class", "line")
    .attr("stroke", (line) => colourOf(line.jobs[0]))
    .attr("d", (line) =>
      d3.line(
        (point) => x(point[0]),
        (point) => y(point[1]),
      )(line.points),
    );
  // A line of one epoch has no length.
  const single = groups
    .filter((line) => line.points.length === 1)
    .append("circle")
    .attr("r", 3.5);
  single
    .attr("cx", (line) => x(line.points[0][0]))
    .attr("cy", (line) => y(line.points[0][1]))
    .attr("fill", (line) => colourOf(line.jobs[0]));
  asMarks(
    groups,
    (line) => line.jobs,
    (line) => curveLabel(line, name),
  );
  arm(place);
}

function drawGrid(svg, x, y, column, width) {
  const marks = x.ticks(Math.min(10, width / 70));
  const whole = isTimed() ? marks : marks.filter(Number.isInteger);
  const base = svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0,${CURVES.height - CURVES.bottom})`);
  base.call(d3.axisBottom(x).tickValues(whole).tickFormat(String).tickSizeOuter(0).tickPadding(6));
  const side = svg.append("g").attr("class", "axis grid").attr("transform", `translate(${CURVES.left},0)`);
  side.call(axisOf(d3.axisLeft, y, column, 6).tickSizeInner(-(width - CURVES.left - CURVES.right)));
}

function curveLabel(line, name) {
  const [epoch, value] = line.points.at(-1) ?? [0, null];
  const who = line.jobs.length > 1 ? `${settingOf(line.jobs[0])}, ${line.jobs.length} jobs` : described(line.jobs[0]);
  return `${who}: ${name} ${rounded(value)} ${isTimed() ? `after ${Number(epoch.toPrecision(3))} s` : `at epoch ${epoch}`}`;
}

function settingOf(job) {
  return settingKeys.map((key) => `${key.name}=${key.text(job)}`).join(" ") || "all jobs";
}
