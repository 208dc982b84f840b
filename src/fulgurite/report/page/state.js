"use strict";
// What the page knows: its data, which jobs pass the filters, and which are highlighted.

const data = JSON.parse(document.getElementById("data").textContent);
const jobs = data.jobs;
const objective = data.objective;
const better = objective.mode === "min" ? "lower is better" : "higher is better";

// A seed tells nothing by its size: it is an axis only when nothing else was varied.
const keys = data.keys.map((key, number) => ({
  ...key,
  id: key.key,
  isNumeric: key.numbers !== null,
  text: (job) => jobs[job].values[number],
  value: (job) => (key.numbers ? key.numbers[job] : jobs[job].values[number] || null),
}));
const settingKeys = keys.filter((key) => key.key !== "seed");
const axisKeys = settingKeys.length ? settingKeys : keys;
const objectiveColumn = {
  id: "objective",
  name: objective.metric || "objective",
  isNumeric: true,
  isLog: objective.isLog,
  choices: [],
  text: (job) => rounded(jobs[job].value),
  value: (job) => (jobs[job].metric === objective.metric ? jobs[job].value : null),
};
const columns = [...axisKeys, objectiveColumn];

// Column id to {low, high}, or to a Set of choices.
const filters = new Map();
let words = "";
const listeners = [];

/** Call `action` whenever the filters have changed. */
function onFilter(action) {
  listeners.push(action);
}

let isWaiting = false;
/** Tell all charts of new filters, at most once a frame. */
function filtersChanged() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    listeners.forEach((action) => action());
  });
}

function setFilter(id, filter) {
  if (filter) filters.set(id, filter);
  else filters.delete(id);
  filtersChanged();
}

function passes(column, job) {
  const filter = filters.get(column.id);
  if (!filter) return true;
  const value = column.value(job);
  if (value === null) return false;
  if (filter instanceof Set) return filter.has(value);
  return value >= filter.low && value <= filter.high;
}

/** What the words of the filter box are sought in. */
function told(job) {
  const { folder, status, metric, error } = jobs[job];
  const setting = keys.map((key) => `${key.key}=${key.text(job)} ${key.name}=${key.text(job)}`);
  return [...setting, folder, status, metric, error].join(" ").toLowerCase();
}
const stories = jobs.map((_, job) => told(job));
const settings = jobs.map((_, job) => {
  const each = keys.flatMap((key) => [`${key.key}=${key.text(job)}`, `${key.name}=${key.text(job)}`]);
  return new Set(each.map((setting) => setting.toLowerCase()));
});
const allSettings = new Set(settings.flatMap((each) => [...each]));

/** A whole setting, seed=1, is that value alone and not seed=10; any other word may stand anywhere. */
function hasWord(job, word) {
  return allSettings.has(word) ? settings[job].has(word) : stories[job].includes(word);
}

function isShown(job) {
  const sought = words.toLowerCase().split(/\s+/);
  return sought.every((word) => hasWord(job, word)) && columns.every((column) => passes(column, job));
}

/** Numbers of the jobs that pass the filters. */
function shownJobs() {
  return d3.range(jobs.length).filter(isShown);
}

/** Jobs with the best last, so that it is drawn over the others. */
function bestLast(chosen) {
  const worth = (job) => (objectiveColumn.value(job) ?? NaN) * (objective.mode === "min" ? -1 : 1);
  return d3.sort(
    chosen,
    (one, other) => Number.isNaN(worth(other)) - Number.isNaN(worth(one)) || worth(one) - worth(other),
  );
}

/** As in the terminal: four decimals, or three digits and an exponent; "-" for nothing. */
function rounded(value) {
  if (value === null || value === undefined) return "-";
  const size = Math.abs(value);
  return value === 0 || (size >= 1e-3 && size < 1e5) ? value.toFixed(4) : value.toExponential(2);
}

/** A path as a link: its names may hold anything. */
function address(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** `lr=0.1 hidden=[32] seed=1` */
function described(job) {
  const setting = keys.map((key) => `${key.name}=${key.text(job)}`).join(" ");
  return jobs[job].metric ? setting || jobs[job].folder : jobs[job].folder;
}

/** Show jobs in all charts and tables at once; none to end it. */
function highlight(chosen) {
  document.body.classList.toggle("has-hot", chosen.length > 0);
  const hot = new Set(chosen);
  for (const mark of document.querySelectorAll("[data-jobs]")) {
    mark.classList.toggle(
      "hot",
      jobsOf(mark).some((job) => hot.has(job)),
    );
  }
}

function jobsOf(mark) {
  return mark.dataset.jobs ? mark.dataset.jobs.split(",").map(Number) : [];
}
