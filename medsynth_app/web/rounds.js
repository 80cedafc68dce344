// Rounds of annotation: the next case, who holds what, training, Dice per round, and the models that were served.
import * as training from "./training.js";
import { ask, element, json, place, svg } from "./server.js";
import { word } from "./words.js";

const SECONDS_BETWEEN_LOOKS = 20;
let record = null;
let strategies = {};
let who = { enabled: false, username: null, roles: [] };
let openCase = () => {};

export async function start(open) {
  openCase = open;
  record = await json("/medsynth/api/rounds");
  const info = await json("/info/");
  who = await json("/auth/token/valid");
  strategies = info.strategies || {};
  place("next-form").addEventListener("submit", (event) => { event.preventDefault(); next(); });
  place("next-name").value = who.username || localStorage.getItem("medsynth-annotator") || "";
  place("next-name").readOnly = who.enabled;
  const kept = Object.keys(strategies);
  place("strategy").replaceChildren(...kept.map((name) => element("option", { value: name }, name)));
  if (kept.includes(info.default_strategy)) place("strategy").value = info.default_strategy;
  else if (kept.includes("uncertain_and_diverse")) place("strategy").value = "uncertain_and_diverse";
  await training.start(info.trainers || {}, who.roles.includes("admin"), look, known());
  wordsChanged();
  setInterval(() => { if (!place("tab-rounds").hidden && !document.hidden) look().catch(() => {}); }, 1000 * SECONDS_BETWEEN_LOOKS);
}
export function wordsChanged() {
  if (!record) return;
  for (const option of place("strategy").options) option.textContent = word(`strategy_${option.value}`);
  training.wordsChanged();
  show();
}
export async function look() {
  record = await json("/medsynth/api/rounds");
  show();
  await training.notice(known());
}
// A run that was broken off is told by GET /train/ too.
function known() {
  const { running = 0, known: tasks = 0 } = record.trainings || {};
  return { running, known: tasks + (record.broken_off || []).length };
}
function say(id, text, failed = false) { place(id).textContent = text; place(id).classList.toggle("error", failed); }
// The server leases the case to who asks, so that nobody else is given it.
async function next() {
  place("next-go").disabled = true;
  try {
    const name = place("next-name").value.trim();
    if (!who.enabled) localStorage.setItem("medsynth-annotator", name);
    const given = await json(`/activelearning/${encodeURIComponent(place("strategy").value)}`, { method: "POST",
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ client_id: name }) });
    if (!given.id) say("next-said", word("no_next"));
    else { say("next-said", word("next_is", given.id)); await look(); await openCase(given.id); }
  } catch (error) { say("next-said", error.message, true); } finally { place("next-go").disabled = false; }
}
async function restore(model) {
  try {
    await ask(`/medsynth/api/rounds/models/${encodeURIComponent(model)}`, { method: "POST" });
    say("models-said", word("restored", model));
    await look();
  } catch (error) { say("models-said", error.message, true); }
}
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
  points.forEach((p, i) => picture.append(svg("circle", { cx: x(i), cy: y(p.dice), r: 4, class: "dot" }), svg("text", { x: x(i) - 4, y: 230 }, String(p.round)),
    svg("text", { x: x(i), y: y(p.dice) - 9, "text-anchor": i && i === points.length - 1 ? "end" : "start" }, p.dice.toFixed(3))));
  return picture;
}
const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" }) : "–");
const cell = (value) => element("td", { class: "number" }, value === null || value === undefined ? "–" : typeof value === "number" ? (Number.isInteger(value) ? String(value) : value.toFixed(3)) : String(value));
const head = (keys) => element("thead", {}, element("tr", {}, ...keys.map((key) => element("th", { scope: "col" }, word(key)))));
function show() {
  showRounds(record.rounds || []);
  showLeases(record.leases || []);
  showModels(record.models || []);
  const { labels_to_score: toScore = 0, cases = 0, assessed = cases, unreadable = 0 } = record.background || {};
  place("background").textContent = [toScore ? word("to_score", String(toScore)) : "", cases > assessed + unreadable ? word("to_assess", `${assessed} / ${cases}`) : ""].filter(Boolean).join(" · ");
}
function showRounds(rows) {
  const broken = (record.broken_off || []).map((run) => element("p", {}, `${word("broken_off")} ${run.model}, ${new Date(run.began * 1000).toLocaleString()}`));
  const points = rows.map((row) => ({ round: row.round, dice: mean(row.model_dice) })).filter((point) => point.dice !== null);
  place("chart").replaceChildren(...broken, ...(points.length ? [chart(points)] : [element("p", {}, word(rows.some((row) => row.submitted) ? "no_validation" : "no_rounds"))]));
  place("rounds-table").replaceChildren(...(rows.length ? [head(["round", "labels", "submitted", "minutes", "before", "model_dice"]),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, cell(row.round), cell(row.labelled), cell(row.submitted),
      cell(row.minutes_per_case === null || row.minutes_per_case === undefined ? null : row.minutes_per_case.toFixed(1)), cell(mean(row.dice_before)), cell(mean(row.model_dice)))))] : []));
}
function showLeases(leases) {
  place("leases").replaceChildren(...leases.map((lease) => element("li", {}, element("button", { type: "button", onclick: () => openCase(lease.case) }, lease.case),
    element("small", {}, ` ${lease.annotator || word("nobody")} · ${word("until", time(lease.until))}`))));
  if (!leases.length) place("leases").append(element("li", {}, word("no_leases")));
}
function showModels(models) {
  const mayRestore = who.roles.includes("admin");
  const rows = [...models].reverse().map((model) => element("tr", {}, element("td", {}, element("code", {}, model.id.slice(0, 8))), element("td", {}, time(model.created)),
    element("td", {}, model.origin ? word(`origin_${model.origin}`) : "–"), cell(model.labelled), cell(mean(model.dice?.mean ?? model.dice)),
    element("td", {}, model.served ? element("strong", {}, word("served")) : element("button", { type: "button", disabled: !mayRestore || !model.can_be_restored,
      "aria-label": `${word("serve_again")} ${model.id.slice(0, 8)}`, onclick: () => restore(model.id) }, word(model.can_be_restored ? "serve_again" : "not_kept")))));
  place("models-table").replaceChildren(...(rows.length ? [head(["model", "made", "origin", "labels", "dice", "state"]), element("tbody", {}, ...rows)] : []));
  if (!rows.length) say("models-said", word("no_models"));
}
