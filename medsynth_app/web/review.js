// Review: the queue of submitted labels, versions side by side, accept or send back.
import { DIFFERENCES } from "./labels.js";
import { versionName, when } from "./pen.js";
import { ask, element, json, place } from "./server.js";
import * as viewer from "./viewer.js";
import { word } from "./words.js";

const API = "/medsynth/api/reviews";
const STATUSES = ["waiting", "sent_back", "accepted"];
const REGIONS = ["WT", "TC", "ET"];
const VIEWS = ["second", "first", "difference"];
let rows = [];
// history: all versions of the case; first, second: numbers of the two that are compared; files: what was fetched.
let here = { case: null, history: null, first: 0, second: 0, view: "second", files: {} };
let callbacks = {};

export async function start(given) {
  callbacks = given;
  await read();
  place("review-status").addEventListener("change", read);
  place("review-next").addEventListener("click", () => go(1));
  place("review-previous").addEventListener("click", () => go(-1));
  place("review-accept").addEventListener("click", () => decide("accept"));
  place("review-form").addEventListener("submit", (event) => { event.preventDefault(); decide("send_back"); });
  place("compare-first").addEventListener("change", (event) => pair({ first: Number(event.target.value) }));
  place("compare-second").addEventListener("change", (event) => pair({ second: Number(event.target.value) }));
  document.addEventListener("keydown", pressed);
}
export function wordsChanged() {
  const kept = place("review-status").value || "waiting";
  place("review-status").replaceChildren(...["all", ...STATUSES].map((each) => element("option", { value: each }, word(each))));
  place("review-status").value = kept;
  place("compare-views").replaceChildren(...VIEWS.map((view, index) => element("button", { type: "button", "data-view": view,
    "aria-keyshortcuts": String(index + 1), onclick: () => look(view) }, element("kbd", {}, String(index + 1)), ` ${word(`show_${view}`)}`)));
  list();
  show();
}
export async function read() {
  const status = place("review-status").value || "waiting";
  rows = (await json(`${API}${status === "all" ? "" : `?status=${status}`}`)).reviews;
  list();
}
export const isChosen = () => place("tab-cases").classList.contains("reviewing");
// The tab was chosen: fresh rows, and the first of them where none is open.
export async function entered() {
  try { await read(); if (!rows.some((row) => row.case === here.case)) await go(1); } catch (error) { callbacks.tell(error.message, true); }
}
function list() {
  place("review-list").replaceChildren(...rows.map((row) => element("li", {}, element("button", { type: "button", title: row.case,
    "aria-pressed": String(row.case === here.case), onclick: () => open(row.case) }, element("span", {}, row.case, element("br"),
    element("small", {}, element("span", { class: `status ${row.status}` }, word(row.status)), ` ${row.author || word("nobody")} · ${when(row.ts)}`))))));
  if (!rows.length) place("review-list").append(element("li", {}, word("queue_empty")));
}
async function go(step) {
  const now = rows.findIndex((row) => row.case === here.case);
  const next = rows[now < 0 ? 0 : Math.min(Math.max(now + step, 0), rows.length - 1)];
  if (next && next.case !== here.case) await open(next.case);
}
async function open(name) {
  here = { case: name, history: null, first: 0, second: 0, view: "second", files: {} };
  place("review-note").value = "";
  list();
  show();
  await callbacks.open(name);
  await reread(name);
}
// A version came in for the case that is open.
export async function changed(name) { if (isChosen() && name === here.case) { await read(); await reread(name); } }
async function reread(name) {
  await callbacks.working(word("loading"), async () => {
    const history = await json(`${API}/${encodeURIComponent(name)}`);
    if (here.case !== name) return;
    const numbers = history.versions.filter((each) => !each.deleted).map((each) => each.version);
    here = { ...here, history, second: numbers.at(-1) || 0, first: numbers.at(-2) || numbers.at(-1) || 0 };
    show();
    callbacks.tell("");
    await figures();
    await draw();
  });
}
function pair(chosen) { here = { ...here, ...chosen }; show(); callbacks.working(word("loading"), async () => { await figures(); await draw(); callbacks.tell(""); }); }
async function look(view) { here.view = view; show(); await callbacks.working("", draw); }
async function fetched(path) {
  here.files[path] ||= await (await ask(path)).blob();
  return here.files[path];
}
async function draw() {
  const { case: name, view, first, second } = here;
  if (!second) return;
  const asked = here;
  const number = view === "first" ? first : second;
  const path = view === "difference" ? `${API}/${encodeURIComponent(name)}/difference?first=${first}&second=${second}`
    : `/datastore/label?${new URLSearchParams({ label: name, version: number })}`;
  const file = await fetched(path);
  if (here.case !== asked.case || here.view !== view) return;
  await viewer.showMask(name, file, view === "difference");
  callbacks.shown(name, file, view === "difference" ? DIFFERENCES : null, number === newest());
}
const newest = () => (here.history ? here.history.versions.at(-1).version : 0);
async function figures() {
  const { case: name, first, second } = here;
  place("compare-table").replaceChildren();
  if (!first || first === second) return;
  const found = await json(`${API}/${encodeURIComponent(name)}/compare?first=${first}&second=${second}`);
  if (here.case !== name || here.first !== first || here.second !== second) return;
  const number = (value, digits) => element("td", { class: "number" }, value === null ? "–" : value.toFixed(digits));
  place("compare-table").replaceChildren(
    element("thead", {}, element("tr", {}, ...["region", "dice", "hd95"].map((key) => element("th", { scope: "col" }, word(key))))),
    element("tbody", {}, ...REGIONS.filter((region) => found.regions[region]).map((region) => element("tr", {}, element("th", { scope: "row" }, word(region)),
      number(found.regions[region].dice, 3), number(found.regions[region].hd95_mm, 1)))),
    element("tfoot", {}, element("tr", {}, element("td", { colspan: 3 }, `${word("changed", found.voxels_changed.toLocaleString())} · ${found.changed_ml.toFixed(2)} ml`))));
}
function show() {
  const { history } = here;
  place("review-open").hidden = !history || !history.versions.length;
  place("review-title").textContent = here.case || word("review");
  if (!history) { place("review-facts").textContent = ""; return; }
  const last = history.versions.at(-1);
  place("review-facts").replaceChildren(...(last ? [element("span", { class: `status ${history.status}` }, word(history.status)), ` ${versionName(last)}`] : [word("no_label")]));
  const options = (chosen) => history.versions.filter((each) => !each.deleted).map((each) =>
    element("option", { value: each.version, selected: each.version === chosen }, versionName(each)));
  place("compare-first").replaceChildren(...options(here.first));
  place("compare-second").replaceChildren(...options(here.second));
  place("compare").hidden = history.versions.length < 2;
  for (const button of place("compare-views").children) button.setAttribute("aria-pressed", String(button.dataset.view === here.view));
  const said = history.versions.flatMap((each) => each.reviews).reverse();
  place("review-history").replaceChildren(...said.map((each) => element("li", {}, element("span", { class: `status ${each.status}` }, word(each.status)),
    ` ${word("version", each.version)} · ${each.reviewer || word("nobody")} · ${when(each.seconds)}`, each.note ? element("p", {}, each.note) : "")));
}
async function decide(decision) {
  const { case: name, history } = here;
  if (!history || !history.versions.length) return;
  if (decision === "send_back" && !place("review-note").reportValidity()) return;
  const version = history.versions.at(-1).version;
  await callbacks.working(word("saving"), async () => {
    try {
      await ask(`${API}/${encodeURIComponent(name)}/${version}`, { method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ decision, note: place("review-note").value.trim() }) });
    } catch (error) { await read(); throw error; }
    callbacks.tell(`${name}: ${word(decision === "accept" ? "accepted" : "sent_back")}`);
  }).then(() => (place("status").classList.contains("error") ? null : after(name)));
}
// The next of the queue, or this case as it stands now where it was the last one.
async function after(name) {
  const place_ = rows.findIndex((row) => row.case === name);
  await read();
  callbacks.decided();
  const said = place("status").textContent;
  const next = rows.some((row) => row.case === name) ? rows.find((row) => row.case === name) : rows[Math.min(place_, rows.length - 1)];
  if (!next) { await reread(name); list(); } else if (next.case === name) await reread(name); else await open(next.case);
  callbacks.tell(said);
}
function pressed(event) {
  if (place("tab-cases").hidden || !isChosen() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === place("review-note")) { place("review-note").blur(); return; }
  if (event.target.matches("input, select, textarea") || callbacks.penInHand()) return;
  const keys = { n: () => go(1), p: () => go(-1), a: () => decide("accept"), r: () => place("review-note").focus(),
    1: () => look("second"), 2: () => look("first"), 3: () => look("difference") };
  const act = here.case || "np".includes(event.key) ? keys[event.key.toLowerCase()] : null;
  if (act) { event.preventDefault(); act(); }
}
