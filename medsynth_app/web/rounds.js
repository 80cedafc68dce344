// Rounds of annotation: model Dice on the fixed validation cases, and a table.
import { element, json, place, svg } from "./server.js";
import { word } from "./words.js";

let record = null;
export async function start() { record = await json("/medsynth/api/rounds"); show(); }
export function wordsChanged() { if (record) show(); }
const mean = (value) => {
  if (typeof value === "number") return value;
  const numbers = Object.values(value || {}).filter((each) => typeof each === "number");
  return numbers.length ? numbers.reduce((a, b) => a + b, 0) / numbers.length : null;
};
function chart(points) {
  const picture = svg("svg", { viewBox: "0 0 640 240", role: "img", "aria-label": word("model_dice") });
  const x = (index) => 50 + (index * 560) / Math.max(points.length - 1, 1);
  const y = (dice) => 210 - dice * 190;
  for (const dice of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(svg("line", { x1: 50, x2: 610, y1: y(dice), y2: y(dice), class: "grid" }), svg("text", { x: 8, y: y(dice) + 4 }, dice.toFixed(2)));
  }
  picture.append(svg("polyline", { points: points.map((p, i) => `${x(i)},${y(p.dice)}`).join(" "), class: "line" }));
  points.forEach((p, i) => picture.append(svg("circle", { cx: x(i), cy: y(p.dice), r: 4, class: "dot" }), svg("text", { x: x(i) - 4, y: 230 }, String(p.round))));
  return picture;
}
function show() {
  const rows = record.rounds || [], broken = (record.broken_off || []).map((run) => element("p", {}, `${word("broken_off")} ${run.model}, ${new Date(run.began * 1000).toLocaleString()}`));
  if (!rows.length) { place("chart").replaceChildren(...broken, element("p", {}, word("no_rounds"))); place("rounds-table").replaceChildren(); return; }
  const points = rows.map((row) => ({ round: row.round, dice: mean(row.model_dice) })).filter((point) => point.dice !== null);
  place("chart").replaceChildren(...broken, ...(points.length ? [chart(points)] : []));
  const cell = (value) => element("td", { class: "number" }, value === null || value === undefined ? "–" : typeof value === "number" ? (Number.isInteger(value) ? String(value) : value.toFixed(3)) : String(value));
  place("rounds-table").replaceChildren(
    element("thead", {}, element("tr", {}, ...["round", "labels", "before", "model_dice"].map((key) => element("th", { scope: "col" }, word(key))))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, cell(row.round), cell(row.labelled), cell(mean(row.dice_before)), cell(mean(row.model_dice))))));
}
