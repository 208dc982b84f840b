"use strict";
// Puts the page together: head, controls, themes, and what is drawn again when something changes.

// Choices that the legend of colours names.
const MOST_ITEMS = 12;

function drawHead() {
  const { title, when, command, git, versions, num_planned: planned } = data.heading;
  d3.select("#title").text(title);
  const goal = objective.metric ? `${objective.metric}, ${better}` : "no objective is recorded yet";
  d3.select("#subtitle").text([goal, when && `last change ${when}`].filter(Boolean).join(" · "));
  const counts = Object.entries(data.counts);
  if (planned > jobs.length) counts.push(["to come", planned - jobs.length]);
  const items = d3.select("#counts").selectAll("li").data(counts).join("li");
  items
    .attr("class", ([status]) => `status ${status.replace(" ", "-")}`)
    .text(([status, number]) => `${number} ${status}`);
  const facts = [
    ["Command", command],
    ["Commit", git || "not recorded"],
    ["Versions", versions.join(", ") || "not recorded"],
  ];
  for (const [name, value] of facts) {
    d3.select("#origin").append("dt").text(name);
    d3.select("#origin").append("dd").append("code").text(value);
  }
}

function drawControls() {
  const select = d3.select("#colour");
  select
    .selectAll("option")
    .data([objectiveColumn, ...axisKeys])
    .join("option")
    .attr("value", (column) => column.id)
    .text((column) => column.name);
  select.on("change", drawCharts);
  d3.select("#words").on("input", (event) => {
    words = event.target.value.trim();
    filtersChanged();
  });
  d3.select("#controls").on("submit", (event) => event.preventDefault());
  d3.select("#clear").on("click", () => {
    words = "";
    const box = document.getElementById("words");
    box.value = "";
    // The button is switched off with nothing left to clear, and would lose the focus.
    box.focus({ preventScroll: true });
    filters.clear();
    brushes.forEach((_, id) => moveBrush(id));
    filtersChanged();
  });
  onFilter(countShown);
  countShown();
}

function countShown() {
  d3.select("#shown").text(`${shownJobs().length} of ${jobs.length} jobs`);
  d3.select("#clear").attr("disabled", filters.size || words ? null : "");
}

function drawLegend() {
  const legend = d3.select("#legend").html("");
  if (colours.items) {
    const shown = colours.items.slice(0, MOST_ITEMS);
    const items = legend.selectAll("span").data(shown).join("span").attr("class", "item");
    items.append("i").style("background", ([, colour]) => colour);
    items.append("span").text(([choice]) => shortened(choice));
    const rest = colours.items.length - shown.length;
    if (rest) legend.append("span").text(`and ${rest} more`);
    return;
  }
  legend.append("span").text(colours.ends[0]);
  legend
    .append("i")
    .attr("class", "ramp")
    .style("background", `linear-gradient(to right, ${d3.range(0, 1.01, 0.1).map(sequence).join(",")})`);
  legend.append("span").text(colours.ends[1]);
}

function drawCharts() {
  const id = document.getElementById("colour").value;
  colours = colouring(columns.find((column) => column.id === id) ?? objectiveColumn);
  drawLegend();
  drawParallel();
  drawCurves();
  drawSlices();
  drawHeatmaps();
  drawConfusion();
}

function chooseTheme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const name = () => (button.textContent = isDark() ? "Light" : "Dark");
  button.setAttribute("aria-label", "Switch between light and dark");
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
    drawCharts();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    name();
    drawCharts();
  });
  name();
}

/** On paper the page is light. */
function followPrinter() {
  let before;
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    drawCharts();
  });
  addEventListener("afterprint", () => {
    if (before) document.documentElement.dataset.theme = before;
    else delete document.documentElement.dataset.theme;
    drawCharts();
  });
}

drawHead();
chooseTheme();
drawBest();
drawLeaderboard();
drawFields();
drawMetrics();
drawImportance();
drawFailed();
drawControls();
drawCharts();
onFilter(filterLines);
onFilter(drawSlices);
onFilter(drawHeatmaps);
followMarks();
followPrinter();
let width = innerWidth;
addEventListener("resize", () => {
  // A telephone's address bar changes the height alone.
  if (innerWidth === width) return;
  width = innerWidth;
  requestAnimationFrame(drawCharts);
});
