// One condition of a generator as a field of the form: select, slider with unit, check box or text.
import { fieldName, valueName } from "./fields.js";
import { element } from "./server.js";
import { word } from "./words.js";

export const shownValue = (value) => (Array.isArray(value) ? value.join(", ") : typeof value === "number" ? String(value) : valueName(value));
// What a condition means, with its unit and range, as the catalogue tells it.
function meaning({ description = "", unit, minimum, maximum }) {
  const range = minimum === undefined && maximum === undefined ? "" : `${minimum ?? ""} – ${maximum ?? ""}`;
  return [description, [range, unit].filter(Boolean).join(" ")].filter(Boolean).join("\n");
}
function select({ name, default: value, choices }, ready) {
  const allowed = ready || choices;
  const first = allowed.includes(value) ? value : allowed[0];
  return element("select", { name }, ...choices.map((each) => element("option", { value: each, selected: each === first, disabled: !allowed.includes(each) },
    allowed.includes(each) ? valueName(each) : `${valueName(each)} (${word("no_weights")})`)));
}
// A slider says its value; untouched, it stands for the generator's own default.
function slider({ name, default: value, minimum, maximum, kind, unit = "" }) {
  const step = kind === "int" ? 1 : 10 ** Math.floor(Math.log10((maximum - minimum) / 100)) / 2;
  const said = element("output", {}, `${value} ${unit}`);
  const input = element("input", { name, type: "range", min: minimum, max: maximum, step, value, "data-untouched": "yes", "aria-valuetext": `${value} ${unit}` });
  input.value = value;
  input.addEventListener("input", () => {
    delete input.dataset.untouched;
    said.textContent = `${Number(Number(input.value).toPrecision(4))} ${unit}`;
    input.setAttribute("aria-valuetext", said.textContent);
  });
  return [said, input];
}
export function field(condition, ready = null) {
  const { name, default: value, minimum, maximum } = condition;
  const bounded = minimum !== undefined && maximum !== undefined;
  let inputs;
  if ((condition.choices || []).length) inputs = [select(condition, ready)];
  else if (typeof value === "boolean") inputs = [element("input", { name, type: "checkbox", checked: value })];
  else if (typeof value === "number" && bounded) inputs = slider(condition);
  else if (typeof value === "number") inputs = [element("input", { name, type: "number", step: "any", placeholder: String(value) })];
  else inputs = [element("input", { name, placeholder: value === null || value === undefined || typeof value === "object" ? "" : String(value) })];
  return element("label", { title: meaning(condition) }, `${fieldName(name)} `, ...inputs);
}
