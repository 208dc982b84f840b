"use strict";
// Importance of each key, the best job, its confusion matrix, and the jobs that did not finish.

function drawImportance() {
  const place = d3.select("#importance .content");
  if (!data.importance.length) {
    place.append("p").text("Nothing but the seed was varied.");
    d3.select("#importance > .note").remove();
    return;
  }
  const list = place.append("ul").attr("class", "shares").selectAll("li").data(data.importance).join("li");
  list
    .append("span")
    .attr("class", "key")
    .text((each) => each.key);
  const known = list.filter((each) => each.share !== null);
  known
    .append("span")
    .attr("class", "bar")
    .append("span")
    .style("width", (each) => `${100 * each.share}%`);
  known
    .append("span")
    .attr("class", "share")
    .text((each) => `${Math.round(100 * each.share)} %`);
  list
    .filter((each) => each.share === null)
    .append("span")
    .attr("class", "reason")
    .text((each) => `cannot be told: ${each.reason}`);
}

function drawBest() {
  const place = d3.select("#best .content");
  if (!data.best) {
    place.append("p").text("No job has finished yet.");
    return;
  }
  const job = jobs[data.best.job];
  place.attr("data-jobs", data.best.job);
  const facts = place.append("dl").attr("class", "facts");
  const fact = (name, value) => {
    const pair = facts.append("div");
    pair.append("dt").text(name);
    pair.append("dd").text(value);
  };
  fact(objective.metric, rounded(job.value));
  const tests = Object.keys(job.metrics).filter((name) => name.startsWith("test/"));
  d3.sort(tests, (name) => !shownTests.includes(name)).forEach((name) => fact(name, rounded(job.metrics[name])));
  keys.forEach((key) => fact(key.name, key.text(data.best.job)));
  const lines = place.append("ul").attr("class", "commands").selectAll("li").data(data.best.commands).join("li");
  lines.append("span").text(([what]) => what);
  const line = lines.append("div");
  line
    .append("code")
    .attr("tabindex", 0)
    .text(([, command]) => command);
  line
    .append("button")
    .attr("type", "button")
    .attr("aria-label", ([what]) => `Copy: ${what}`)
    .text("Copy")
    .on("click", copy);
}

/** Into the clipboard; where a page from disk may not write there, the command is selected. */
async function copy(event, [, command]) {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(command);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  } catch {
    getSelection().selectAllChildren(button.previousSibling);
  }
}

function drawConfusion() {
  const place = d3.select("#confusion .content").html("");
  const found = data.best?.confusion;
  if (!found) {
    const where = data.best ? ` in ${jobs[data.best.job].folder}/figures/confusion.json` : "";
    place
      .append("p")
      .text(`There are no counts${where}. A run on classes writes them there with its pictures (callbacks=pictures).`);
    return;
  }
  const text =
    `Rows are the true classes, columns what they were taken for (${found.stage}). ` +
    "Blue is right, orange is wrong, by the share of the row.";
  place.append("p").attr("class", "note").text(text);
  const box = place
    .append("div")
    .attr("class", "scroll")
    .attr("role", "region")
    .attr("tabindex", 0)
    .attr("aria-label", "Counts");
  drawCounts(box.append("table").attr("class", "confusion"), found);
}

function drawCounts(table, { labels, counts }) {
  const head = table.append("thead").append("tr");
  head.append("th").attr("scope", "col").text("true");
  head
    .selectAll("th.label")
    .data(labels)
    .join("th")
    .attr("class", "label")
    .attr("scope", "col")
    .text((label) => label);
  const cells = counts.map((row, at) =>
    row.map((count, to) => ({ count, isRight: at === to, share: count / Math.max(1, d3.sum(row)) })),
  );
  const colour = shareColour(
    d3.max(
      cells.flat().filter((cell) => !cell.isRight),
      (cell) => cell.share,
    ),
  );
  const rows = table.append("tbody").selectAll("tr").data(cells).join("tr");
  rows
    .append("th")
    .attr("scope", "row")
    .text((_, at) => labels[at]);
  rows
    .selectAll("td")
    .data((row) => row)
    .join("td")
    .text(({ count }) => count || "")
    .style("background", (cell) => (cell.count ? colour(cell) : null))
    .style("color", (cell) => (cell.count ? inkOn(colour(cell)) : null));
}

/** Mistakes are few: the most frequent one has the full colour of mistakes, or what is 5 % of its row. */
function shareColour(most) {
  const [ground, right, wrong] = isDark() ? ["#1a1e25", "#8cc4ec", "#ffa94d"] : ["#fffefb", "#1f567f", "#d9651f"];
  const [rightly, wrongly] = [right, wrong].map((tone) => d3.interpolateRgb(ground, tone));
  return ({ isRight, share }) =>
    isRight ? rightly(0.15 + 0.85 * share) : wrongly(0.08 + (0.82 * share) / Math.max(0.05, most ?? 0));
}

function drawFailed() {
  const lost = d3.range(jobs.length).filter((job) => !["finished", "pruned"].includes(jobs[job].status));
  if (!lost.length) {
    d3.select("#failed").remove();
    return;
  }
  const items = d3.select("#failed .content").append("ul").attr("class", "lost").selectAll("li").data(lost).join("li");
  items.attr("data-jobs", (job) => job);
  const head = items.append("p");
  head.append("strong").text((job) => described(job));
  head
    .append("span")
    .attr("class", (job) => `status ${jobs[job].status}`)
    .text((job) => jobs[job].status);
  const said = (job) =>
    jobs[job].error || (jobs[job].status === "running" ? "still running, or killed" : "no reason recorded");
  items.append("p").attr("class", "reason").text(said);
  items
    .filter((job) => jobs[job].log)
    .append("p")
    .append("a")
    .attr("href", (job) => address(jobs[job].log))
    .text((job) => jobs[job].log);
  items
    .filter((job) => !jobs[job].log)
    .append("p")
    .append("code")
    .text((job) => jobs[job].path);
}
