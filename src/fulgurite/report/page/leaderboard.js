"use strict";
// The leaderboard: settings with their seeds folded, sorted by any column.

function spread(row) {
  if (row.deviation === null) return rounded(row.mean);
  const isSmall = row.deviation < 1e-3 && Math.abs(row.mean) >= 1e-3;
  return `${rounded(row.mean)} ± ${isSmall ? row.deviation.toFixed(4) : rounded(row.deviation)}`;
}

function besideBest(row) {
  if (row.difference === null) return "";
  const sign = row.difference < 0 ? "−" : "+";
  const chance = row.p === null ? "" : row.p < 1e-3 ? " (p < 0.001)" : ` (p ${row.p.toFixed(row.p < 0.1 ? 3 : 2)})`;
  return `${sign}${rounded(Math.abs(row.difference))}${chance}`;
}

const metricNames = new Set(data.rows.map((row) => row.metric).filter(Boolean));
const testNames = [...metricNames].map((name) => `test/${name.split("/").at(-1)}`);
const shownTests = testNames.filter((name) => data.rows.some((row) => name in row.metrics));
const seconds = (value) => (value === null ? "-" : value.toFixed(1));
const hasSeeds = data.rows.some((row) => row.jobs.length > 1);
const isCompared = data.rows.some((row) => row.difference !== null);

// Each with its name, what of a row is sorted and shown, and what of a job stands there when the row is unfolded.
const tableColumns = [
  { name: "#", isNumber: true, value: (_, rank) => rank + 1, text: (_, rank) => rank + 1, ofJob: () => "" },
  ...settingKeys.map((key) => {
    const at = keys.indexOf(key);
    const place = (row) => key.choices.indexOf(row.setting[at]);
    // A job without a record has no setting.
    const value = (row) => (key.isNumeric ? key.value(row.jobs[0]) : place(row) < 0 ? null : place(row));
    return { name: key.name, title: key.key, value, text: (row) => row.setting[at], ofJob: () => "" };
  }),
  {
    name: metricNames.size > 1 ? "objective" : objective.metric || "objective",
    title: better,
    isNumber: true,
    value: (row) => row.mean,
    text: (row) => (metricNames.size > 1 ? `${row.metric} ${spread(row)}` : spread(row)),
    ofJob: (job) => rounded(job.value),
  },
  ...(hasSeeds
    ? [
        {
          name: "n",
          title: "finished jobs",
          isNumber: true,
          value: (row) => row.num,
          text: (row) => row.num,
          ofJob: () => "",
        },
      ]
    : []),
  ...(isCompared
    ? [
        {
          name: "to best",
          title: "mean difference over common seeds, paired t-test",
          isNumber: true,
          value: (row) => row.difference,
          text: besideBest,
          ofJob: () => "",
        },
      ]
    : []),
  ...shownTests.map((name) => ({
    name,
    isNumber: true,
    value: (row) => row.metrics[name] ?? null,
    text: (row) => rounded(row.metrics[name]),
    ofJob: (job) => rounded(job.metrics[name]),
  })),
  {
    name: "s",
    title: "seconds",
    isNumber: true,
    value: (row) => row.seconds,
    text: (row) => seconds(row.seconds),
    ofJob: (job) => seconds(job.seconds),
  },
  { name: "status", value: (row) => row.status, text: (row) => row.status, ofJob: (job) => job.status },
];

let sorted = { column: 0, isDescending: false };

function drawLeaderboard() {
  const table = d3.select("#leaderboard .scroll").append("table");
  table.append("caption").attr("class", "hidden").text("Settings, best first");
  const heads = table.append("thead").append("tr").selectAll("th").data(tableColumns).join("th");
  heads.attr("scope", "col").classed("number", (column) => column.isNumber);
  heads
    .append("button")
    .attr("type", "button")
    .attr("title", (column) => column.title ?? null)
    .text((column) => column.name)
    .on("click", (_, column) => sortBy(tableColumns.indexOf(column)));
  const bodies = table.selectAll("tbody").data(data.rows).join("tbody");
  bodies.each(function (row, rank) {
    drawRow(d3.select(this), row, rank);
  });
  sortRows();
  onFilter(filterRows);
}

function drawRow(body, row, rank) {
  const line = body.append("tr").attr("class", "setting").attr("data-jobs", row.jobs.join(","));
  const cells = line.selectAll("td").data(tableColumns).join("td");
  cells
    .classed("number", (column) => column.isNumber)
    .each(function (column, at) {
      const cell = d3.select(this);
      if (at > 0) cell.text(column.text(row, rank)).attr("title", wholeText(column.text(row, rank)));
      else drawUnfolder(cell, body, row, rank);
    });
}

/** What a cell holds that is too long to be shown whole. */
function wholeText(text) {
  return String(text).length > 40 ? text : null;
}

function drawUnfolder(cell, body, row, rank) {
  const num = row.jobs.length;
  const name = settingKeys.map((key) => `${key.name}=${row.setting[keys.indexOf(key)]}`).join(" ");
  cell
    .append("button")
    .attr("type", "button")
    .attr("class", "unfold")
    .attr("aria-expanded", "false")
    .attr("aria-label", `${rank + 1}: ${num} job${num > 1 ? "s" : ""} of ${name || "this setting"}`)
    .text(rank + 1)
    .on("click", function () {
      const isOpen = this.getAttribute("aria-expanded") === "true";
      this.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) body.selectAll("tr.job").remove();
      else row.jobs.forEach((job) => drawJob(body, job));
      filterRows();
    });
}

function drawJob(body, number) {
  const job = jobs[number];
  const line = body.append("tr").attr("class", "job").attr("data-jobs", number);
  const named = line.append("td").attr("colspan", 1 + settingKeys.length);
  named
    .append("a")
    .attr("href", `${address(job.path)}/`)
    .text(job.seed ? `seed ${job.seed}` : job.folder);
  if (job.seed) named.append("span").attr("class", "folder").text(job.folder);
  line
    .selectAll("td.rest")
    .data(tableColumns.slice(1 + settingKeys.length))
    .join("td")
    .attr("class", (column) => (column.isNumber ? "rest number" : "rest"))
    .text((column) => column.ofJob(job));
}

function sortBy(column) {
  const isDescending = sorted.column === column && !sorted.isDescending;
  sorted = { column, isDescending };
  sortRows();
}

/** Rows without a value stay last in both directions. */
function sortRows() {
  const { column, isDescending } = sorted;
  const value = (row) => tableColumns[column].value(row, data.rows.indexOf(row)) ?? null;
  const order = isDescending ? d3.descending : d3.ascending;
  d3.selectAll("#leaderboard tbody").sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    return (a === null) - (b === null) || order(a, b) || data.rows.indexOf(one) - data.rows.indexOf(other);
  });
  d3.selectAll("#leaderboard thead th").attr("aria-sort", (_, at) => {
    if (at !== column) return null;
    return isDescending ? "descending" : "ascending";
  });
}

function filterRows() {
  for (const line of document.querySelectorAll("#leaderboard tbody tr")) {
    line.hidden = !jobsOf(line).some(isShown);
  }
}
