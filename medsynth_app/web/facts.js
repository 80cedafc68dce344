// What an answer says, as a table; what lies deeper becomes rows of its own.
import { fieldName, valueName } from "./fields.js";
import { element } from "./server.js";

const LONGEST = 300;
const FIRST = ["task", "generator", "seed", "image", "conditions", "notice"];

function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  if (Array.isArray(value)) return value.map(shown).join(", ") || "–";
  if (typeof value === "object") return Object.entries(value).map(([name, each]) => `${fieldName(name)} ${shown(each)}`).join(", ") || "–";
  const text = valueName(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
function isTable(value) { return Array.isArray(value) && value.length > 0 && value.every((row) => row && typeof row === "object" && !Array.isArray(row)); }
function rows(facts, above) {
  return Object.entries(facts).flatMap(([name, value]) => {
    const title = above ? `${above}: ${fieldName(name)}` : fieldName(name);
    if (isTable(value)) return [];
    if (value && typeof value === "object" && !Array.isArray(value) && !above) return rows(value, title);
    return [element("tr", {}, element("th", { scope: "row" }, title), element("td", {}, shown(value)))];
  });
}
function list(name, records) {
  const columns = Object.keys(records[0]);
  return element("table", {}, element("caption", {}, fieldName(name)),
    element("thead", {}, element("tr", {}, ...columns.map((column) => element("th", { scope: "col" }, fieldName(column))))),
    element("tbody", {}, ...records.map((record) => element("tr", {}, ...columns.map((column) => element("td", { class: "number" }, shown(record[column])))))));
}
export function factsTables(said) {
  const facts = Object.fromEntries([...FIRST.filter((name) => name in said).map((name) => [name, said[name]]), ...Object.entries(said).filter(([name]) => !FIRST.includes(name))]);
  const lists = Object.entries(facts).filter(([, value]) => isTable(value)).map(([name, value]) => list(name, value));
  return [element("table", { class: "facts" }, element("tbody", {}, ...rows(facts, ""))), ...lists];
}
