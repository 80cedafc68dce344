// Rounds of annotation: model Dice on the fixed validation cases, and a table.
import { element, json, place } from "./server.js";
import { word } from "./words.js";

let record = null;
export async function start() { record = await json("/medsynth/api/rounds"); show(); }
export function wordsChanged() { if (record) show(); }
const mean = (value) => {
  if (typeof value === "number") return value;
  const numbers = Object.values(value || {}).filter((each) => typeof each === "number");
  return numbers.length ? numbers.reduce((a, b) => a + b, 0) / numbers.length : null;
};
function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}
function chart(points) {
  const picture = svg("svg", { viewBox: "0 0 640 240", role: "img", "aria-label": word("model_dice") });
  const x = (index) => 50 + (index * 560) / Math.max(points.length - 1, 1);
  const y = (dice) => 210 - dice * 190;
  for (const dice of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(svg("line", { x1: 50, x2: 610, y1: y(dice), y2: y(dice), stroke: "#3a4450" }), svg("text", { x: 8, y: y(dice) + 4, fill: "#aab4bf", "font-size": 12 }, dice.toFixed(2)));
  }
  picture.append(svg("polyline", { points: points.map((p, i) => `${x(i)},${y(p.dice)}`).join(" "), fill: "none", stroke: "#6cb6ff", "stroke-width": 2 }));
  points.forEach((p, i) => picture.append(svg("circle", { cx: x(i), cy: y(p.dice), r: 4, fill: "#6cb6ff" }), svg("text", { x: x(i) - 4, y: 230, fill: "#aab4bf", "font-size": 12 }, String(p.round))));
  return picture;
}
function show() {
  const rows = record.rounds || [];
  if (!rows.length) { place("chart").replaceChildren(element("p", {}, word("no_rounds"))); place("rounds-table").replaceChildren(); return; }
  const points = rows.map((row) => ({ round: row.round, dice: mean(row.model_dice) })).filter((point) => point.dice !== null);
  place("chart").replaceChildren(...(points.length ? [chart(points)] : []));
  const cell = (value) => element("td", { class: "number" }, value === null || value === undefined ? "–" : typeof value === "number" ? (Number.isInteger(value) ? String(value) : value.toFixed(3)) : String(value));
  place("rounds-table").replaceChildren(
    element("thead", {}, element("tr", {}, ...["round", "labels", "before", "model_dice"].map((key) => element("th", { scope: "col" }, word(key))))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, cell(row.round), cell(row.labelled), cell(mean(row.dice_before)), cell(mean(row.model_dice))))));
}
