// Synthesis: one form for every row of the catalogue.
import { element, infer, json, place } from "./server.js";
import { word } from "./words.js";

let rows = [];
export async function start() {
  const catalogue = await json("/medsynth/api/synthesis");
  rows = catalogue.generators || catalogue.rows || [];
  if (!rows.length) throw new Error("no generator");
  place("row").replaceChildren(...rows.map((row, index) => element("option", { value: index }, `${row.task} · ${row.generator}`)));
  place("row").addEventListener("change", show);
  place("conditions").addEventListener("submit", (event) => { event.preventDefault(); make(); });
  show();
}
export function wordsChanged() { if (rows.length) show(); }
const chosen = () => rows[Number(place("row").value) || 0];
function field(condition) {
  const name = condition.name;
  const choices = condition.choices || [];
  const value = condition.default;
  let input;
  if (choices.length) input = element("select", { name }, ...choices.map((each) => element("option", { value: each, selected: each === value }, each)));
  else if (typeof value === "boolean") input = element("input", { name, type: "checkbox", checked: value });
  else if (typeof value === "number") input = element("input", { name, type: "number", step: "any", placeholder: String(value) });
  else input = element("input", { name, placeholder: value === null || value === undefined || typeof value === "object" ? "" : String(value) });
  return element("label", { title: condition.description || "" }, name.replaceAll("_", " "), input);
}
function show() {
  const row = chosen();
  const missing = (row.kinds || []).every((kind) => kind.ready === false);
  place("row-description").textContent = row.description + (missing ? ` (${word("no_weights")})` : "");
  const wanted = (row.conditions || []).filter((each) => !["save", "allow_flagged", "result", "result_extension", "preview", "animation"].includes(each.name));
  const fields = [field({ name: "seed", default: 0 }), ...wanted.filter((each) => each.name !== "seed").map(field)];
  if (row.takes_image !== "no") fields.push(element("label", {}, word("image"), element("input", { name: "file", type: "file", accept: "image/png,image/jpeg" })));
  place("conditions").replaceChildren(...fields, element("button", { class: "main", disabled: missing }, word("make")));
}
function values(row) {
  const params = { preview: true };
  for (const condition of [{ name: "seed", default: 0 }, ...(row.conditions || [])]) {
    const input = place("conditions").elements[condition.name];
    if (!input) continue;
    if (input.type === "checkbox") params[condition.name] = input.checked;
    else if (input.value !== "") params[condition.name] = input.type === "number" ? Number(input.value) : parsed(input.value);
  }
  return row.task === "tumor_case_synthesis" ? params : { ...params, generator: row.generator };
}
function parsed(text) { try { return JSON.parse(text); } catch { return text; } }
async function make() {
  const row = chosen();
  const file = place("conditions").elements.file?.files[0];
  place("made").textContent = word("making");
  place("made").classList.remove("error");
  place("making").hidden = false;
  try {
    const answer = await infer(row.task, { image: "_" }, { params: JSON.stringify(values(row)), file });
    const preview = answer.params.preview || answer.params.animation;
    const picture = typeof preview === "string" ? (preview.startsWith("data:") ? preview : `data:image/png;base64,${preview}`)
      : row.result === "picture" ? URL.createObjectURL(answer.image) : null;
    if (picture) place("picture").src = picture; else place("picture").removeAttribute("src");
    place("picture").alt = row.description;
    place("made").textContent = `${row.task} · seed ${answer.params.seed}`;
    const { preview: _, animation: __, ...facts } = answer.params;
    place("facts").textContent = JSON.stringify(facts, null, 1);
  } catch (error) { place("made").textContent = error.message; place("made").classList.add("error"); } finally { place("making").hidden = true; }
}
