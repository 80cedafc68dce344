// The pen: strokes over what is wrong, corrected by the server, undone, compared, kept as a version.
import { HEALTHY, HEALTHY_PEN, LABELS } from "./labels.js";
import { ask, element, form, infer, json, place } from "./server.js";
import * as viewer from "./viewer.js";
import { currentLanguage, word } from "./words.js";

const MODEL = "brain_tumor_scribbles";
const STROKES = [...LABELS.map(({ name, value }) => ({ name: `${name}_scribbles`, id: 10 + value })), { name: "background_scribbles", id: 10 }];
const LABEL_INFO = [...LABELS.map(({ name, value }) => ({ name, id: value })), ...STROKES];
const AS_STROKES = { 1: 11, 2: 12, 3: 13, [HEALTHY_PEN]: 10 };
const AS_DRAWN = { 1: 1, 2: 2, 3: 3, [HEALTHY_PEN]: 0 };
const LARGEST = 15;
const NAME_KEY = "medsynth-annotator";
// states: every mask of this case since it was opened, the newest last; work: what was done for it.
let here = { name: null, states: [], work: [], tags: [], before: false, busy: false };
let on = false;
let chosen = 1;
let callbacks = { tell: () => {}, working: async (text, work) => work(), changed: () => {}, saved: () => {} };

export function start(given) {
  callbacks = given;
  viewer.onStroke(show);
  place("pen-toggle").addEventListener("click", () => toggle());
  place("pen-size").addEventListener("input", (event) => resize(Number(event.target.value)));
  place("correct").addEventListener("click", correct);
  place("paint").addEventListener("click", paint);
  place("undo").addEventListener("click", undo);
  place("before").addEventListener("click", compare);
  place("annotator").value = localStorage.getItem(NAME_KEY) || "";
  place("save-form").addEventListener("submit", (event) => { event.preventDefault(); save(); });
  place("versions").addEventListener("change", (event) => load(event.target.value));
  document.addEventListener("keydown", pressed);
}
export function forCase(name, tags) {
  here = { name, states: [], work: [], tags, before: false, busy: false };
  show();
  return listVersions(name);
}
// A mask that came from the model or from the store: a state that can be undone.
export function maskIs(name, file) {
  if (name !== here.name || file === current()) return;
  here.states.push(file);
  here.before = false;
  show();
}
export function wordsChanged() {
  const pens = [...LABELS.map((label) => ({ ...label, pen: label.value })), { ...HEALTHY, pen: HEALTHY_PEN }];
  place("palette").replaceChildren(...pens.map(({ name, value, pen }) => element("button", { type: "button", class: `swatch-${name}`, "data-pen": pen,
    title: word("key", value), "aria-keyshortcuts": String(value), onclick: () => choose(pen) }, element("kbd", {}, String(value)), ` ${word(name)}`)));
  show();
  if (here.name) listVersions(here.name);
}
const current = () => here.states.at(-1) || null;
const ready = () => here.name && !here.busy;
function show() {
  place("pen-toggle").disabled = !here.name;
  place("pen-toggle").setAttribute("aria-pressed", String(on));
  place("pen-tools").hidden = !on || !here.name;
  for (const button of place("palette").children) button.setAttribute("aria-pressed", String(Number(button.dataset.pen) === chosen));
  const drawn = viewer.strokes() > 0;
  place("correct").disabled = place("paint").disabled = !ready() || !drawn;
  place("undo").disabled = !ready() || !(drawn || here.states.length > 1);
  place("before").disabled = here.states.length < 2;
  place("before").setAttribute("aria-pressed", String(here.before));
  place("save-form").hidden = !current();
  place("save").disabled = !ready() || drawn || here.before;
  place("save").title = drawn ? word("strokes_open") : "";
}
// Whatever else was looked at, strokes go over the mask that is worked on.
async function showCurrent() {
  here.before = false;
  if (!current()) return;
  await viewer.showMask(here.name, current());
  callbacks.changed(here.name, current());
}
export const inHand = () => on;
async function toggle(wanted = !on) {
  on = wanted;
  if (on) await showCurrent();
  await viewer.setPen(on);
  show();
}
function choose(pen) { chosen = pen; viewer.choosePen(pen); show(); }
function resize(size) {
  const kept = Math.max(1, Math.min(LARGEST, size));
  place("pen-size").value = kept;
  place("pen-size-said").textContent = kept;
  viewer.setPenSize(kept);
}
async function changeMask(name, file, what) {
  if (name !== here.name) return;
  await viewer.showMask(name, file);
  viewer.clearStrokes();
  if (what) here.work.push(what);
  maskIs(name, file);
  callbacks.changed(name, file);
}
// One thing at a time: while the server works, nothing else changes the mask.
async function alone(text, work) {
  here.busy = true;
  const asked = here;
  show();
  const answer = await callbacks.working(text, work);
  asked.busy = false;
  show();
  return answer;
}
async function drawnOver(values) {
  await showCurrent();
  const drawn = await viewer.drawnLabel(values);
  if (!drawn) throw new Error(word("other_grid"));
  return drawn;
}
async function correct() {
  if (!ready() || !viewer.strokes()) return;
  const name = here.name, begin = performance.now();
  await alone(word("correcting"), async () => {
    const drawn = await drawnOver(AS_STROKES);
    const params = { label_info: LABEL_INFO, result: "label_map", result_extension: ".nii.gz" };
    const answer = await infer(MODEL, { image: name }, { params: JSON.stringify(params), label: drawn.file });
    const seconds = Number(((performance.now() - begin) / 1000).toFixed(2));
    const changed = answer.params.voxels_changed;
    await changeMask(name, answer.image, { action: "correct", marked: drawn.marked, changed, seconds });
    if (name === here.name) callbacks.tell([word("changed", changed.toLocaleString()), word("seconds", seconds.toFixed(1)), ...answer.params.warnings].join(" · "));
  });
}
async function paint() {
  if (!ready() || !viewer.strokes()) return;
  const name = here.name;
  await alone(word("loading"), async () => {
    const drawn = await drawnOver(AS_DRAWN);
    await changeMask(name, drawn.file, { action: "paint", marked: drawn.marked });
    callbacks.tell(word("painted", drawn.marked.toLocaleString()));
  });
}
async function undo() {
  if (!ready()) return;
  if (viewer.strokes()) { viewer.undoStroke(); return; }
  if (here.states.length < 2) return;
  here.states.pop();
  here.work.push({ action: "undo" });
  here.before = false;
  await viewer.showMask(here.name, current());
  callbacks.changed(here.name, current());
  callbacks.tell(word("undone"));
  show();
}
async function compare() {
  if (here.states.length < 2) return;
  here.before = !here.before;
  await viewer.showMask(here.name, here.before ? here.states.at(-2) : current());
  callbacks.tell(here.before ? word("shown_before") : "");
  show();
}
async function save() {
  if (!ready() || !current() || !place("save-form").reportValidity()) return;
  const { name, work } = here, author = place("annotator").value.trim();
  localStorage.setItem(NAME_KEY, author);
  await alone(word("saving"), async () => {
    const file = new File([current()], "label.nii.gz");
    const params = JSON.stringify({ client_id: author, corrections: work.slice(-100) });
    const answer = await (await ask(`/datastore/label?${new URLSearchParams({ image: name })}`, { ...form({ params, label: file }), method: "PUT" })).json();
    if (name !== here.name) return;
    here.work = [];
    here.tags = [...new Set([...here.tags, "final"])];
    await listVersions(name);
    callbacks.tell([word("saved", answer.version), ...(answer.warnings || [])].join(" · "));
    callbacks.saved(name);
  });
}
export const when = (seconds) => new Date(seconds * 1000).toLocaleString(currentLanguage(), { dateStyle: "medium", timeStyle: "short" });
export const versionName = ({ version, author, ts }) => [word("version", version), author || word("nobody"), when(ts)].join(" · ");
async function listVersions(name) {
  const kept = await json(`/datastore/label/versions?${new URLSearchParams({ label: name })}`).catch(() => []);
  if (name !== here.name) return;
  const versions = kept.filter((each) => !each.deleted).reverse();
  const others = here.tags.filter((tag) => tag !== "final" || !versions.length);
  place("versions").replaceChildren(element("option", { value: "" }, word(versions.length + others.length ? "load_label" : "no_label")),
    ...versions.map((each) => element("option", { value: `version=${each.version}` }, versionName(each))),
    ...others.map((tag) => element("option", { value: `tag=${encodeURIComponent(tag)}` }, word("label_tag", tag))));
  place("versions").disabled = !(versions.length + others.length);
}
async function load(query) {
  if (!query || !ready()) return;
  const name = here.name;
  await alone(word("loading"), async () => {
    const file = await (await ask(`/datastore/label?${new URLSearchParams({ label: name })}&${query}`)).blob();
    await changeMask(name, file, null);
    callbacks.tell("");
  });
  place("versions").value = "";
}
const STEPS = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
function pressed(event) {
  if (place("tab-cases").hidden || event.target.matches("input, select, textarea") || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) { if (key === "z") { event.preventDefault(); undo(); } return; }
  const act = event.target === place("canvas") && STEPS[key] ? () => viewer.step(...STEPS[key]) : action(key, event.target);
  if (act) { event.preventDefault(); act(); }
}
function action(key, target) {
  if (!here.name) return null;
  if (key === "e") return () => toggle();
  if (key === "x") return compare;
  if (!on) return null;
  if (key === "0") return () => choose(HEALTHY_PEN);
  if (["1", "2", "3"].includes(key)) return () => choose(Number(key));
  if (key === "[" || key === "]") return () => resize(Number(place("pen-size").value) + (key === "[" ? -1 : 1));
  if (key === "c" || (key === "Enter" && target === place("canvas"))) return correct;
  if (key === "p") return paint;
  return key === " " && target === place("canvas") ? viewer.stamp : null;
}
