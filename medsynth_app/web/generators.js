// Synthesis: a card for every generator, one form for its conditions, and what was made so far.
import { courseView } from "./course.js";
import { factsTables } from "./facts.js";
import { field, shownValue } from "./conditions.js";
import { fieldName, valueName } from "./fields.js";
import { element, infer, json, picture, place } from "./server.js";
import { word } from "./words.js";

const HIDDEN = ["allow_flagged", "result", "result_extension", "preview", "animation", "generator", "seed", "save"];
// What most people set; the rest is folded.
const FIRST = ["volume_type", "modality", "pathology", "severity", "host", "site", "side", "volume_ml", "grade", "age", "sex",
  "lesion_class", "direction", "alpha_from", "alpha_to"];
const NOT_STORED = ["skin_lesion_inversion", "skin_lesion_progression"];
const ROW_OF = 5;
let rows = [];
let picked = 0;
let made = [];
let onSaved = () => {};
export async function start(saved) {
  const catalogue = await json("/medsynth/api/synthesis");
  rows = catalogue.generators || catalogue.rows || [];
  if (!rows.length) throw new Error("no generator");
  onSaved = saved;
  place("conditions").addEventListener("change", sayStanding);
  place("conditions").addEventListener("submit", (event) => { event.preventDefault(); make([given()]); });
  wordsChanged();
}
export function wordsChanged() {
  if (!rows.length) return;
  const tasks = [...new Set(rows.map((row) => row.task))];
  place("generators").replaceChildren(...tasks.map((task) => element("section", {}, element("h3", {}, valueName(task)),
    ...rows.map((row, index) => [row, index]).filter(([row]) => row.task === task).map(([row, index]) => card(row, index)))));
  show();
  if (made.length) reveal(made[0]);
}
const chosen = () => rows[picked];
const readyKinds = (row) => (row.kinds || []).filter((kind) => kind.ready !== false).map((kind) => kind.kind);
const badge = (status) => element("span", { class: `badge ${status}` }, word(status));
function card(row, index) {
  return element("button", { type: "button", class: "card", "data-row": `${row.task}/${row.generator}`, "aria-pressed": String(index === picked), title: row.description,
    onclick: () => { picked = index; wordsChanged(); document.querySelector(".card[aria-pressed=true]").focus(); } },
  element("img", { src: `/medsynth/page/${row.task}-${row.generator}.png`, alt: "", width: 44, height: 44, loading: "lazy", onerror: (event) => event.target.classList.add("missing") }),
  element("span", {}, valueName(row.generator), element("br"), badge(row.status)));
}
function show() {
  const row = chosen();
  const missing = !readyKinds(row).length;
  place("row-description").textContent = row.description + (missing ? ` (${word("no_weights")})` : "");
  const wanted = (row.conditions || []).filter((each) => !HIDDEN.includes(each.name));
  const rank = (each) => FIRST.indexOf(each.name);
  const first = wanted.filter((each) => rank(each) >= 0).sort((a, b) => rank(a) - rank(b));
  const rest = wanted.filter((each) => rank(each) < 0);
  const shownAs = (each) => field(each, each.name === row.kind_condition ? readyKinds(row) : null);
  const file = [upload("file", row.takes_image, "image/png,image/jpeg", "image"),
    upload("label", row.takes_label, row.result === "picture" ? "image/png" : ".nii,.nii.gz,.nrrd", "mask_file")].filter(Boolean);
  const seed = element("label", { title: word("seed_hint") }, fieldName("seed"), element("input", { name: "seed", type: "number", min: 0, step: 1, placeholder: word("by_chance") }));
  const more = rest.length ? [element("details", {}, element("summary", {}, word("more_conditions", String(rest.length))), ...rest.map(shownAs))] : [];
  const save = NOT_STORED.includes(row.task) ? [] : [field({ name: "save", default: false })];
  place("conditions").replaceChildren(...file, ...first.map(shownAs), seed, ...more, ...save,
    element("div", { class: "always" }, element("button", { class: "main", disabled: missing }, word("make"))));
  sayStanding();
}
function upload(name, takes, accept, label) {
  return takes === "no" || !takes ? null : element("label", {}, word(label), element("input", { name, type: "file", accept, required: takes === "needed" }));
}
const uploads = () => ({ file: place("conditions").elements.file?.files[0], label: place("conditions").elements.label?.files[0] });
// What is known about the kind that is asked for: how good it is, and what it learned from.
function sayStanding() {
  const row = chosen();
  const asked = place("conditions").elements[row.kind_condition]?.value ?? "";
  const kind = (row.kinds || []).find((each) => each.kind === asked) || (row.kinds || [])[0] || {};
  place("row-origin").replaceChildren(badge(kind.status || row.status), ` ${kind.figure || ""} `, element("br"), kind.trained_on || "");
}
function given() {
  const params = { preview: true };
  for (const input of place("conditions").elements) {
    if (!input.name || input.type === "file") continue;
    if (input.type === "checkbox") params[input.name] = input.checked;
    else if (input.value !== "" && !(input.type === "range" && input.dataset.untouched)) params[input.name] = ["number", "range"].includes(input.type) ? Number(input.value) : parsed(input.value);
  }
  if (!params.save) delete params.save;
  return { ...params, generator: chosen().generator };
}
function parsed(text) { try { return JSON.parse(text); } catch { return text; } }
// One after the other: the server makes one at a time, and each is seen as soon as it is there.
async function make(requests, row = chosen(), sent = uploads(), varied = "") {
  const buttons = document.querySelectorAll("#tab-generators .viewer button, #conditions button");
  const busy = (is) => { place("making").hidden = !is; for (const button of buttons) button.disabled = is; };
  place("made").classList.remove("error");
  busy(true);
  const together = [];
  try {
    for (const [index, params] of requests.entries()) {
      place("made").textContent = requests.length > 1 ? `${word("making")} ${index + 1} / ${requests.length}` : word("making");
      const answer = await infer(row.task, { image: "_" }, { params: JSON.stringify(params), ...sent });
      const entry = { row, params, sent, varied, facts: answer.params, file: answer.image, url: shownPicture(row, answer), together };
      together.push(entry);
      made = [entry, ...made].slice(0, 24);
      reveal(entry);
      if (answer.params.image) onSaved();
    }
  } catch (error) { place("made").textContent = error.message; place("made").classList.add("error"); } finally { busy(false); }
}
// The answered file is a picture that browsers show, or a volume with a preview beside it.
function shownPicture(row, answer) {
  if (row.result === "picture") return URL.createObjectURL(answer.image);
  return answer.params.preview ? picture(answer.params.preview) : null;
}
const titleOf = (each) => `${valueName(each.row.task)} · ${valueName(each.row.generator)} · ${fieldName("seed")} ${each.facts.seed}`;
function reveal(entry) {
  const { row, facts } = entry;
  place("made").classList.remove("error");
  place("made").textContent = titleOf(entry);
  const course = courseView(facts);
  place("course").replaceChildren(...(course ? [course] : []), ...(entry.together.length > 1 ? [rowOf(entry)] : []));
  if (entry.url) place("picture").src = entry.url; else place("picture").removeAttribute("src");
  place("picture").alt = row.description;
  place("next-steps").replaceChildren(...nextSteps(entry));
  const { preview: _, animation: __, frames: ___, ...told } = facts;
  place("facts").replaceChildren(...factsTables(told));
  place("gallery").replaceChildren(...made.map((each) => element("li", {}, element("button", { type: "button", "aria-pressed": String(each === entry),
    title: titleOf(each), onclick: () => reveal(each) },
  each.url ? element("img", { src: each.url, alt: titleOf(each) }) : String(each.facts.seed)))));
}
// Pictures that differ in one condition, side by side.
function rowOf(entry) {
  return element("div", { class: "row-of", role: "group", "aria-label": word("vary") }, ...entry.together.map((each) => element("figure", {},
    element("img", { src: each.url || "", alt: titleOf(each) }), element("figcaption", {}, `${fieldName(each.varied)} ${shownValue(each.params[each.varied])}`))));
}
function nextSteps(entry) {
  const { row, facts, params } = entry;
  const ending = row.result === "picture" ? "png" : "nii.gz";
  const name = `${row.task}-${facts.seed}.${ending}`;
  const again = { ...params, seed: facts.seed };
  const steps = [element("button", { type: "button", id: "same-seed", onclick: () => { place("conditions").elements.seed.value = facts.seed; } }, word("same_seed"))];
  const choices = variable(row);
  if (choices.length && chosen() === row) {
    const which = element("select", { id: "vary-what", "aria-label": word("vary") }, ...choices.map((each) => element("option", { value: each.name }, fieldName(each.name))));
    steps.push(element("span", { class: "row" }, which, element("button", { type: "button", id: "vary", onclick: () => vary(entry, choices.find((each) => each.name === which.value)) }, word("vary"))));
  }
  if (!NOT_STORED.includes(row.task) && !facts.image) steps.push(element("button", { type: "button", id: "keep", onclick: () => make([{ ...again, save: true }], row, entry.sent) }, word("keep_case")));
  if (entry.file) steps.push(element("a", { href: URL.createObjectURL(entry.file), download: name }, word("download", name)));
  const audit = facts.memorisation?.status;
  if (audit) steps.push(element("span", { class: `badge audit-${audit}`, title: word("audit_hint") }, `${word("audit")}: ${word(`audit_${audit}`)}`));
  if (facts.image) steps.push(element("span", {}, `${word("kept_as")} ${facts.image}`));
  return steps;
}
const variable = (row) => (row.conditions || []).filter((each) => !HIDDEN.includes(each.name) && each.name !== row.kind_condition && valuesOf(each).length > 1);
function valuesOf({ choices, minimum, maximum, kind }) {
  if (choices) return choices.filter((each) => each !== "any" && each !== "auto").slice(0, ROW_OF);
  if (minimum === undefined || maximum === undefined || kind === "numbers") return [];
  const whole = kind === "int";
  const steps = [...Array(ROW_OF).keys()].map((index) => minimum + ((maximum - minimum) * index) / (ROW_OF - 1));
  return [...new Set(steps.map((each) => (whole ? Math.round(each) : Number(each.toPrecision(3)))))];
}
function vary(entry, condition) {
  const { save: _, ...params } = entry.params;
  return make(valuesOf(condition).map((value) => ({ ...params, seed: entry.facts.seed, [condition.name]: value })), entry.row, entry.sent, condition.name);
}
