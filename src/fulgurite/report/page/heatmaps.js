"use strict";
// Heat maps: the mean objective for each pair of values of two keys, where they lie on a grid.

const HEAT = { cell: 40, top: 8, bottom: 46, mostPairs: 10 };

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

function drawHeatmaps() {
  const pairs = gridPairs();
  const drawn = pairs.slice(0, HEAT.mostPairs);
  const shown = shownJobs().filter((job) => objectiveColumn.value(job) !== null && jobs[job].status === "finished");
  d3.select("#heatmaps > .note").text(heatNote(pairs, drawn));
  d3.select("#heatmaps .panels")
    .selectAll("figure")
    .data(drawn)
    .join("figure")
    .each(function ([x, y]) {
      drawHeatmap(this, x, y, shown);
    });
}

function heatNote(pairs, drawn) {
  if (!pairs.length)
    return "Needs two keys on a grid: 2 to 12 values each, and finished jobs for half of the combinations.";
  const rest =
    pairs.length > drawn.length
      ? ` Of ${pairs.length} pairs those of the ${drawn.length} most important are drawn.`
      : "";
  return `Mean ${objectiveColumn.name} of finished jobs over everything else, such as seeds; ${better}.${rest}`;
}

function drawHeatmap(place, keyX, keyY, shown) {
  const left = labelWidth(keyY.choices) + 20;
  const width = place.clientWidth;
  const height = HEAT.top + HEAT.bottom + HEAT.cell * keyY.choices.length;
  const svg = canvas(place, width, height, `Mean ${objectiveColumn.name} for ${keyX.key} and ${keyY.key}`);
  const x = d3.scaleBand(keyX.choices, [left, width - 8]).padding(0.04);
  const y = d3.scaleBand(keyY.choices, [height - HEAT.bottom, HEAT.top]).padding(0.04);
  const cells = d3.flatRollup(
    shown,
    (group) => ({ group, mean: d3.mean(group, objectiveColumn.value) }),
    keyX.text,
    keyY.text,
  );
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
    const number = groups
      .append("text")
      .attr("x", ([a]) => x(a) + x.bandwidth() / 2)
      .attr("y", ([, b]) => y(b) + y.bandwidth() / 2);
    number
      .attr("dy", "0.35em")
      .attr("text-anchor", "middle")
      .attr("fill", ([, , { mean }]) => inkOn(sequence(share(mean))));
    number.text(([, , { mean }]) => rounded(mean));
  }
  const label = ([a, b, { group, mean }]) =>
    `${keyX.name}=${a} ${keyY.name}=${b}: mean ${rounded(mean)} of ${group.length} job${group.length > 1 ? "s" : ""}`;
  asMarks(groups, ([, , { group }]) => group, label);
}
