"use strict";
// Heat maps: the mean objective for each pair of values of two keys, where they lie on a grid, and of a key and epochs.

const HEAT = { cell: 40, top: 8, bottom: 46, mostPairs: 10, mostOverEpochs: 4, mostEpochs: 10 };

/** Pairs of keys on a grid, the most important first. */
function gridPairs() {
  const order = data.importance.map((each) => each.key);
  const rank = (key) => order.indexOf(key.key);
  const pairs = data.pairs.map((pair) =>
    d3.sort(
      pair.map((number) => keys[number]),
      rank,
    ),
  );
  return d3.sort(
    pairs,
    ([first]) => rank(first),
    ([, second]) => rank(second),
  );
}

/** Keys whose values have a curve of the objective over some epochs, the most important first. */
function keysOverEpochs() {
  const order = data.importance.map((each) => each.key);
  const few = axisKeys.filter((key) => key.choices.length > 1 && key.choices.length <= MOST_MEANS);
  return d3.sort(few, (key) => order.indexOf(key.key)).slice(0, HEAT.mostOverEpochs);
}

/** Up to `HEAT.mostEpochs` epochs, evenly spread, that all of the jobs have; none where they are fewer than three. */
function commonEpochs(shown) {
  const [first, ...rest] = shown.map((job) => pointsOf(job, objective.metric).map(([epoch]) => epoch));
  const common = (first ?? []).filter((epoch) => rest.every((epochs) => epochs.includes(epoch)));
  const every = Math.ceil(common.length / HEAT.mostEpochs);
  return common.length < 3 ? [] : common.filter((_, at) => (common.length - 1 - at) % every === 0);
}

function drawHeatmaps() {
  const pairs = gridPairs();
  const drawn = pairs.slice(0, HEAT.mostPairs);
  const shown = shownJobs().filter((job) => objectiveColumn.value(job) !== null && jobs[job].status === "finished");
  const epochs = commonEpochs(shown);
  const maps = drawn.map(([x, y]) => [x, y, cellsOfPair(x, y, shown)]);
  const over = epochs.length ? keysOverEpochs() : [];
  const axis = { key: "epoch", name: "epoch", choices: epochs.map(String) };
  maps.push(...over.map((key) => [key, axis, cellsOverEpochs(key, epochs, shown)]));
  d3.select("#heatmaps > .note").text(heatNote(pairs, drawn, over));
  d3.select("#heatmaps .panels")
    .selectAll("figure")
    .data(maps)
    .join("figure")
    .each(function ([x, y, cells]) {
      drawHeatmap(this, x, y, cells);
    });
}

/** For each pair of values: both, the jobs, and mean and error of their objectives. */
function cellsOfPair(keyX, keyY, shown) {
  const ofGroup = (group) => ({ group, ...meanAndError(group.map(objectiveColumn.value)) });
  return d3.flatRollup(shown, ofGroup, keyX.text, keyY.text);
}

/** The same for each value of a key and each epoch, from the curves of the objective. */
function cellsOverEpochs(key, epochs, shown) {
  const curves = new Map(shown.map((job) => [job, new Map(pointsOf(job, objective.metric))]));
  const groups = d3.groups(shown, key.text);
  return d3
    .cross(groups, epochs, ([value, group], epoch) => {
      const values = group.map((job) => curves.get(job).get(epoch));
      return [value, String(epoch), { group, ...meanAndError(values) }];
    });
}

function heatNote(pairs, drawn, over) {
  if (!pairs.length && !over.length)
    return "Needs two keys on a grid: 2 to 12 values each, and finished jobs for half of the combinations.";
  const rest =
    pairs.length > drawn.length
      ? ` Of ${pairs.length} pairs those of the ${drawn.length} most important are drawn.`
      : "";
  const curves = over.length ? " Those with epochs are from the curves." : "";
  const errors = " Below a mean is its standard error.";
  return `Mean ${objectiveColumn.name} of finished jobs over everything else, such as seeds; ${better}.${errors}${curves}${rest}`;
}

function drawHeatmap(place, keyX, keyY, cells) {
  const left = labelWidth(keyY.choices) + 20;
  const width = place.clientWidth;
  const height = HEAT.top + HEAT.bottom + HEAT.cell * keyY.choices.length;
  const svg = canvas(place, width, height, `Mean ${objectiveColumn.name} for ${keyX.key} and ${keyY.key}`);
  const x = d3.scaleBand(keyX.choices, [left, width - 8]).padding(0.04);
  const y = d3.scaleBand(keyY.choices, [height - HEAT.bottom, HEAT.top]).padding(0.04);
  drawCells(svg, cells, x, y, keyX, keyY);
  const base = svg
    .append("g")
    .attr("class", "axis bare")
    .attr("transform", `translate(0,${height - HEAT.bottom})`);
  base.call(d3.axisBottom(x).tickSize(0).tickPadding(8).tickFormat(shortened));
  const every = Math.ceil((labelWidth(keyX.choices) - 8) / x.step());
  base
    .selectAll(".tick text")
    .filter((_, at) => at % every !== 0)
    .remove();
  const side = svg.append("g").attr("class", "axis bare").attr("transform", `translate(${left},0)`);
  side.call(d3.axisLeft(y).tickSize(0).tickPadding(8).tickFormat(shortened));
  const name = svg
    .append("text")
    .attr("class", "name")
    .attr("text-anchor", "middle")
    .attr("y", height - 8);
  name.attr("x", (left + width) / 2).text(keyX.name);
  const turned = svg.append("text").attr("class", "name").attr("text-anchor", "middle").text(keyY.name);
  turned.attr("transform", `translate(12,${(HEAT.top + height - HEAT.bottom) / 2}) rotate(-90)`);
  arm(place);
}

function drawCells(svg, cells, x, y, keyX, keyY) {
  const warp = objective.isLog ? Math.log : Number;
  const [low, high] = extent(cells.map(([, , { mean }]) => warp(mean)));
  const share = (mean) => (objective.mode === "min" ? high - warp(mean) : warp(mean) - low) / (high - low);
  const groups = svg.append("g").selectAll("g").data(cells).join("g").attr("class", "cell");
  const box = groups
    .append("rect")
    .attr("x", ([a]) => x(a))
    .attr("y", ([, b]) => y(b))
    .attr("rx", 3);
  box
    .attr("width", x.bandwidth())
    .attr("height", y.bandwidth())
    .attr("fill", ([, , { mean }]) => sequence(share(mean)));
  // A number that does not fit into its cell is told when it is pointed at.
  if (x.bandwidth() >= 44) {
    const hasErrors = cells.some(([, , { error }]) => error !== null);
    writeInCells(groups, x, y, share, hasErrors ? "-0.15em" : "0.35em", ({ mean }) => rounded(mean));
    if (hasErrors) {
      const told = ({ error }) => (error === null ? "" : `± ${errorText(error)}`);
      writeInCells(groups, x, y, share, "1.15em", told).attr("class", "error");
    }
  }
  const label = ([a, b, { group, mean, error }]) => {
    const spread = error === null ? "" : ` ± ${errorText(error)}`;
    return `${keyX.name}=${a} ${keyY.name}=${b}: mean ${rounded(mean)}${spread} of ${group.length} job${group.length > 1 ? "s" : ""}`;
  };
  asMarks(groups, ([, , { group }]) => group, label);
}

/** A standard error in two digits. */
const errorText = (error) => (error >= 1e-4 ? String(Number(error.toPrecision(2))) : error.toExponential(0));

function writeInCells(groups, x, y, share, shift, text) {
  return groups
    .append("text")
    .attr("x", ([a]) => x(a) + x.bandwidth() / 2)
    .attr("y", ([, b]) => y(b) + y.bandwidth() / 2)
    .attr("dy", shift)
    .attr("text-anchor", "middle")
    .attr("fill", ([, , { mean }]) => inkOn(sequence(share(mean))))
    .text(([, , each]) => text(each));
}
