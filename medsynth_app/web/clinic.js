// Symptoms in, cross-check and its explanation out, decision, hospitals.
import { decision } from "./decision.js";
import { suspects } from "./suspects.js";
import { ask, element, form, json, place } from "./server.js";
import { currentLanguage, word } from "./words.js";

const API = "/medsynth/api";
const HANDS = ["unknown", "right", "left", "ambidextrous"];
const SIDES = ["unknown", "right", "left", "both"];
const ONSETS = ["unknown", "sudden", "days", "weeks", "months", "years"];
let here = { name: null, mask: null, tags: [] };
let reported = [];
let waiting = 0;

export async function start() {
  await json(`${API}/health`);
  place("clinic").hidden = false;
  place("phrase").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 350); });
  place("suspect").addEventListener("click", suspect);
  place("intake").addEventListener("submit", (event) => { event.preventDefault(); check(); });
}
export function forCase(name, mask, tags = []) {
  if (name !== here.name) reported = [];
  place("result").replaceChildren();
  here = { name, mask, tags };
  show();
}
export function wordsChanged() {
  const chosen = place("hand").value || "unknown";
  place("hand").replaceChildren(...HANDS.map((hand) => element("option", { value: hand }, word(hand))));
  place("hand").value = chosen;
  show();
}
async function search() {
  const text = place("phrase").value.trim();
  if (text.length < 2) { place("candidates").replaceChildren(); return; }
  const understood = await json(`${API}/symptoms/understand?lang=${currentLanguage()}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text }) }).catch((error) => ({ error }));
  if (understood.error) { place("candidates").replaceChildren(element("li", { class: "error" }, understood.error.message)); return; }
  place("candidates").replaceChildren(...said(understood));
}
// What was understood: a button per finding, the questions with their answers, the words left over.
function said({ findings, candidates, questions, not_understood: left }) {
  const others = candidates.filter((each) => !findings.some((row) => row.id === each.symptom)).map((each) => ({
    id: each.symptom, name: each.name, state: each.negated ? "denied" : "present", side: each.side, onset: "unknown" }));
  const all = findings.length > 1 ? [element("li", {}, element("button", { type: "button", id: "add-all",
    onclick: () => { findings.forEach(take); done(); } }, word("add_all", findings.length)))] : [];
  return [...all, ...findings.map((row) => offered(row)), ...questions.map((each) => asked(each, findings)), ...others.map((row) => offered(row, "quiet")),
    ...(left.length ? [element("li", { id: "not-understood" }, element("small", {}, word("not_understood", left.join(" / "))))] : [])];
}
function offered(row, kind = "") {
  const side = row.side === "unknown" ? "" : ` · ${word(row.side)}`;
  return element("li", { class: kind }, element("button", { type: "button", onclick: () => { take(row); done(); } },
    `${row.state === "denied" ? `− ${word("no")}: ` : "+ "}${row.name}${side}`));
}
function asked(question, findings) {
  const about = findings.find((row) => row.id === question.about);
  const answer = (choice) => { findings.forEach((row) => take(row === about ? { ...row, ...choice } : row)); done(); };
  return element("li", { class: "question" }, element("p", {}, question.text), element("div", { class: "row" },
    ...question.choices.map((choice) => element("button", { type: "button", onclick: () => answer(choice) }, choice.label))));
}
function take(row) {
  reported = reported.filter((each) => each.id !== row.id);
  reported.push({ id: row.id, name: row.name, state: row.state === "denied" ? "no" : "yes",
    side: SIDES.includes(row.side) ? row.side : "unknown", onset: ONSETS.includes(row.onset) ? row.onset : "unknown" });
}
function done() {
  place("phrase").value = "";
  place("candidates").replaceChildren();
  show();
}
function select(label, values, value, change, kind = "") {
  const shown = (each) => (kind && each === "unknown" ? `${word(kind)}: ${word(each)}` : word(each));
  return element("select", { "aria-label": label, title: label, onchange: (event) => change(event.target.value) },
    ...values.map((each) => element("option", { value: each, selected: each === value }, shown(each))));
}
function show() {
  place("reported").replaceChildren(...reported.map((each) => element("li", {}, each.name, element("div", { class: "row" },
    select(`${each.name}: ${word("answer")}`, ["yes", "no", "unknown"], each.state, (value) => { each.state = value; }),
    select(`${each.name}: ${word("side")}`, SIDES, each.side, (value) => { each.side = value; }, "side"),
    select(`${each.name}: ${word("onset")}`, ONSETS, each.onset, (value) => { each.onset = value; }, "onset"),
    element("button", { type: "button", "aria-label": `${word("remove")}: ${each.name}`,
      onclick: () => { reported = reported.filter((other) => other !== each); show(); } }, "×")))));
  place("suspect").disabled = !reported.length;
  place("check").disabled = !(here.name && here.mask && reported.length);
  place("check").title = here.mask ? "" : word("need_mask");
}
const answers = () => ({ handedness: place("hand").value, ...(place("age").value ? { age: Number(place("age").value) } : {}),
  symptoms: reported.map(({ id, state, side, onset }) => ({ id, state, side, onset })) });
async function suspect() {
  try { place("result").replaceChildren(...await suspects(answers())); } catch (error) { place("result").replaceChildren(element("p", { class: "error" }, error.message)); }
}
async function check() {
  const button = place("check");
  const asked = here;
  button.disabled = true;
  place("result").replaceChildren(element("p", {}, word("checking")), element("progress", { "aria-label": word("checking") }));
  const params = { case: here.name, ...answers() };
  try {
    const record = await (await ask(`${API}/cross-check`, form({ params: JSON.stringify(params), label: here.mask }))).json();
    if (here === asked) explain(record); // an answer about another case or mask is not shown here
  } catch (error) { if (here === asked) place("result").replaceChildren(element("p", { class: "error" }, error.message)); } finally { show(); }
}
function direction(nats) { return Math.abs(nats) < 0.1 ? "neutral" : nats > 0 ? "for" : "against"; }
function explain(record) {
  const verdict = record.concordance;
  const said = (record.cross_check || {}).symptoms || [];
  const rows = said.map((row) => element("tr", {}, element("td", {}, nameOf(row.id)),
    element("td", {}, word(direction(row.nats))), element("td", { class: "number" }, row.nats.toFixed(2))));
  const links = record.links;
  const parts = [
    ...(record.red_flags || []).map((flag) => element("p", { class: "flag", role: "alert" }, flagText(flag))),
    element("p", { class: `verdict ${verdict}`, id: "verdict" }, word(verdict)),
    ...(rows.length ? [element("h3", {}, word("why")), element("table", {}, element("tbody", {}, ...rows))] : []),
    element("p", {}, element("a", { href: `${links.html}?lang=${currentLanguage()}`, target: "_blank", rel: "noopener" }, word("report")),
      " · ", element("a", { href: `${links.pdf}?lang=${currentLanguage()}` }, "PDF")),
    decision(record, here.tags), hospitals((record.hospitals || {}).hospitals || [])];
  place("result").replaceChildren(...parts);
}
function flagText(flag) {
  if (typeof flag === "string") return flag;
  return (currentLanguage() === "ko" ? flag.text_ko || flag.name_ko : flag.text_en || flag.name_en) || flag.code || "";
}
const nameOf = (id) => (reported.find((each) => each.id === id) || { name: id }).name;
function hospitals(rows) {
  if (!rows.length) return "";
  const lines = rows.slice(0, 5).map(({ hospital, distance_km: far, proxy }) =>
    element("li", {}, hospital.name, typeof far === "number" ? ` · ${Math.round(far)} km` : "", proxy ? element("small", {}, ` ${word("stands_in", proxy)}`) : ""));
  const note = rows.some(({ hospital }) => hospital.invented) ? element("small", {}, word("invented")) : "";
  return element("div", { id: "hospitals" }, element("h3", {}, word("hospitals")), element("ul", {}, ...lines), note);
}
