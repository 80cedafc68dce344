// Synthesis: one form for every row of the catalogue, and what was made so far.
import { courseView } from "./course.js";
import { factsTables } from "./facts.js";
import { fieldName, valueName } from "./fields.js";
import { element, infer, json, picture, place } from "./server.js";
import { word } from "./words.js";

const HIDDEN = ["allow_flagged", "result", "result_extension", "preview", "animation", "generator", "seed", "save"];
const NO_PICTURES = ["skin_lesion_inversion", "skin_lesion_progression"];
let rows = [];
let made = [];
let onSaved = () => {};
export async function start(saved) {
  const catalogue = await json("/medsynth/api/synthesis");
  rows = catalogue.generators || catalogue.rows || [];
  if (!rows.length) throw new Error("no generator");
  onSaved = saved;
  place("row").addEventListener("change", show);
  place("conditions").addEventListener("submit", (event) => { event.preventDefault(); make(); });
  wordsChanged();
}
export function wordsChanged() {
  if (!rows.length) return;
  const chosenBefore = place("row").value;
  const tasks = [...new Set(rows.map((row) => row.task))];
  place("row").replaceChildren(...tasks.map((task) => element("optgroup", { label: valueName(task) },
    ...rows.map((row, index) => [row, index]).filter(([row]) => row.task === task).map(([row, index]) =>
      element("option", { value: index }, `${valueName(task)} · ${valueName(row.generator)}`)))));
  if (chosenBefore) place("row").value = chosenBefore;
  show();
  if (made.length) reveal(made[0]);
}
const chosen = () => rows[Number(place("row").value) || 0];
const readyKinds = (row) => (row.kinds || []).filter((kind) => kind.ready !== false).map((kind) => kind.kind);
// What a condition means, with its unit and range, as the catalogue tells it.
function meaning({ description = "", unit, minimum, maximum }) {
  const range = minimum === undefined && maximum === undefined ? "" : `${minimum ?? ""} – ${maximum ?? ""}`;
  return [description, [range, unit].filter(Boolean).join(" ")].filter(Boolean).join("\n");
}
function field(condition, row) {
  const { name, default: value } = condition;
  const choices = condition.choices || [];
  let input;
  if (choices.length) {
    const ready = name === row.kind_condition ? readyKinds(row) : choices;
    const first = ready.includes(value) ? value : ready[0];
    input = element("select", { name }, ...choices.map((each) => element("option", { value: each, selected: each === first, disabled: !ready.includes(each) },
      ready.includes(each) ? valueName(each) : `${valueName(each)} (${word("no_weights")})`)));
  } else if (typeof value === "boolean") input = element("input", { name, type: "checkbox", checked: value });
  else if (typeof value === "number") input = element("input", { name, type: "number", step: "any", placeholder: String(value) });
  else input = element("input", { name, placeholder: value === null || value === undefined || typeof value === "object" ? "" : String(value) });
  if (condition.minimum !== undefined && input.type === "number") Object.assign(input, { min: condition.minimum, max: condition.maximum });
  return element("label", { title: meaning(condition) }, fieldName(name), input);
}
function show() {
  const row = chosen();
  const missing = !readyKinds(row).length;
  place("row-description").textContent = row.description + (missing ? ` (${word("no_weights")})` : "");
  const origins = [...new Set((row.kinds || []).filter((kind) => kind.ready !== false).map((kind) => kind.trained_on).filter(Boolean))];
  place("row-origin").textContent = origins.slice(0, 2).join(" · ");
  const wanted = (row.conditions || []).filter((each) => !HIDDEN.includes(each.name));
  const fields = [field({ name: "seed", default: 0 }, row), ...wanted.map((each) => field(each, row))];
  if (row.takes_image !== "no") fields.push(element("label", {}, word("image"), element("input", { name: "file", type: "file", accept: "image/png,image/jpeg", required: row.takes_image === "needed" })));
  if (!NO_PICTURES.includes(row.task)) fields.push(field({ name: "save", default: false }, row));
  place("conditions").replaceChildren(...fields, element("button", { class: "main", disabled: missing }, word("make")));
}
function values(row) {
  const params = { preview: true };
  for (const input of place("conditions").elements) {
    if (!input.name || input.type === "file") continue;
    if (input.type === "checkbox") params[input.name] = input.checked;
    else if (input.value !== "") params[input.name] = input.type === "number" ? Number(input.value) : parsed(input.value);
  }
  if (!params.save) delete params.save;
  return { ...params, generator: row.generator };
}
function parsed(text) { try { return JSON.parse(text); } catch { return text; } }
async function make() {
  const row = chosen();
  const file = place("conditions").elements.file?.files[0];
  const button = place("conditions").querySelector("button");
  place("made").textContent = word("making");
  place("made").classList.remove("error");
  place("making").hidden = false;
  button.disabled = true;
  try {
    const answer = await infer(row.task, { image: "_" }, { params: JSON.stringify(values(row)), file });
    const entry = { row, facts: answer.params, file: answer.image, url: shownPicture(row, answer) };
    made = [entry, ...made].slice(0, 24);
    reveal(entry);
    if (answer.params.image) onSaved();
  } catch (error) { place("made").textContent = error.message; place("made").classList.add("error"); } finally { place("making").hidden = true; button.disabled = false; }
}
// The answered file is a picture that browsers show, or a volume with a preview beside it.
function shownPicture(row, answer) {
  if (row.result === "picture") return URL.createObjectURL(answer.image);
  return answer.params.preview ? picture(answer.params.preview) : null;
}
function reveal(entry) {
  const { row, facts } = entry;
  place("made").textContent = `${valueName(row.task)} · ${valueName(row.generator)} · ${fieldName("seed")} ${facts.seed}`;
  const course = courseView(facts);
  place("course").replaceChildren(...(course ? [course] : []));
  if (entry.url) place("picture").src = entry.url; else place("picture").removeAttribute("src");
  place("picture").alt = row.description;
  const ending = row.result === "picture" ? "png" : "nii.gz";
  const name = `${row.task}-${facts.seed}.${ending}`;
  place("download").replaceChildren(...(entry.file ? [element("a", { href: URL.createObjectURL(entry.file), download: name }, word("download", name))] : []));
  const { preview: _, animation: __, frames: ___, ...told } = facts;
  place("facts").replaceChildren(...factsTables(told));
  place("gallery").replaceChildren(...made.map((each) => element("li", {}, element("button", { type: "button", "aria-pressed": String(each === entry),
    title: `${valueName(each.row.task)} · ${fieldName("seed")} ${each.facts.seed}`, onclick: () => reveal(each) },
  each.url ? element("img", { src: each.url, alt: `${valueName(each.row.task)} · ${fieldName("seed")} ${each.facts.seed}` }) : String(each.facts.seed)))));
}
