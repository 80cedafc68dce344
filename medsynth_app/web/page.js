// The page: cases, viewer, tabs. Parts whose back end does not answer stay hidden.
import * as clinic from "./clinic.js";
import * as generators from "./generators.js";
import { LABELS } from "./labels.js";
import * as opening from "./opening.js";
import * as pen from "./pen.js";
import * as review from "./review.js";
import * as rounds from "./rounds.js";
import { element, infer, json, place } from "./server.js";
import * as viewer from "./viewer.js";
import { currentLanguage, speak, word } from "./words.js";

const MODEL = "brain_tumor_segmentation";
const SEQUENCES = ["flair", "t1", "t1ce", "t2"];
const state = { cases: {}, chosen: null };

export function tell(text, failed = false) {
  place("status").textContent = text;
  place("status").classList.toggle("error", failed);
}
async function working(text, work) {
  tell(text);
  place("progress").hidden = false;
  try { return await work(); } catch (error) { tell(error.message, true); return null; } finally { place("progress").hidden = true; }
}
function listCases() {
  const wanted = place("case-search").value.toLowerCase();
  const names = Object.keys(state.cases).filter((name) => name.toLowerCase().includes(wanted)).slice(0, 300);
  place("cases").replaceChildren(...names.map((name) => {
    const facts = state.cases[name];
    const tags = [Object.keys(facts.labels || {}).length ? word("labelled") : "", (facts.image?.info || {}).synthetic ? word("synthetic") : ""];
    const described = [(facts.image?.info || {}).SeriesDescription, ...tags].filter(Boolean).join(", ");
    return element("li", {}, element("button", { "aria-pressed": String(name === state.chosen), title: name, onclick: () => open(name) },
      thumbnail(name), element("span", {}, name, element("br"), element("small", {}, described || " "))));
  }));
  if (!names.length) place("cases").append(element("li", {}, word("empty")));
}
function thumbnail(name) {
  return element("img", { src: `/medsynth/api/cases/${encodeURIComponent(name)}/thumbnail`, alt: "", width: 44, height: 44, loading: "lazy",
    onerror: (event) => event.target.classList.add("missing") });
}
const tagsOf = (name) => Object.keys(state.cases[name]?.labels || {});
async function readCases() { state.cases = (await json("/datastore/?output=all")).objects || {}; listCases(); }
async function open(name) {
  state.chosen = name;
  place("welcome").hidden = true;
  delete place("case-name").dataset.word;
  place("case-name").textContent = name;
  place("volumes").replaceChildren();
  viewer.openCase(name);
  clinic.forCase(name, null, tagsOf(name));
  pen.forCase(name, tagsOf(name));
  listCases();
  for (const id of ["sequence", "view", "segment"]) place(id).disabled = false;
  await showSequence();
}
async function showSequence() {
  const modality = place("sequence").value;
  await working(word("loading"), async () => {
    await viewer.showSequence(state.chosen, modality, () => place("sequence").value === modality);
    tell("");
  });
}
async function segment() {
  const name = state.chosen;
  place("segment").disabled = true;
  const begin = performance.now();
  const answer = await working(word("segmenting"), async () => {
    const found = await infer(MODEL, { image: name }, { params: JSON.stringify({ result_extension: ".nii.gz" }) });
    if (state.chosen !== name) return null;
    await viewer.showMask(name, found.image);
    if (state.chosen === name) viewer.goTo(found.params.centroid_ras_mm);
    return found;
  });
  place("segment").disabled = false;
  if (!answer || state.chosen !== name) return;
  tell([word("seconds", ((performance.now() - begin) / 1000).toFixed(1)), ...(answer.params.warnings || [])].join(" · "));
  pen.maskIs(name, answer.image);
  maskChanged(name, answer.image);
}
// Volumes and cross-check are those of the mask that is seen.
function maskChanged(name, file, legend = LABELS) {
  if (state.chosen !== name) return;
  const volumes = viewer.maskVolumes() || [];
  place("volumes").replaceChildren(...volumes.map((ml, index) => element("div", { class: `swatch-${legend[index].name}` },
    element("dt", {}, word(legend[index].name)), element("dd", {}, `${ml.toFixed(legend === LABELS ? 1 : 2)} ml`))));
  if (legend !== LABELS) return;
  clinic.forCase(name, file, tagsOf(name));
}
function choose(tab) {
  for (const button of document.querySelectorAll(".tab")) {
    button.toggleAttribute("aria-current", false);
    if (button.dataset.tab === tab) button.setAttribute("aria-current", "page");
  }
  const isReview = tab === "review";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `tab-${isReview ? "cases" : tab}`;
  place("tab-cases").classList.toggle("reviewing", isReview);
  if (isReview) review.entered();
  if (tab === "rounds") rounds.look().catch(() => {});
}
function wordsChanged() {
  place("view").replaceChildren(...viewer.viewNames.map((name) => element("option", { value: name }, word(name))));
  listCases();
  clinic.wordsChanged();
  opening.wordsChanged();
  pen.wordsChanged();
  review.wordsChanged();
  generators.wordsChanged();
  rounds.wordsChanged();
}
async function begin() {
  place("language").value = currentLanguage();
  place("sequence").replaceChildren(...SEQUENCES.map((name) => element("option", { value: name }, name.toUpperCase())));
  speak(currentLanguage());
  place("language").addEventListener("change", (event) => { speak(event.target.value); wordsChanged(); });
  place("case-search").addEventListener("input", listCases);
  place("sequence").addEventListener("change", showSequence);
  place("view").addEventListener("change", (event) => viewer.setView(event.target.value));
  place("opacity").addEventListener("input", (event) => viewer.setOpacity(Number(event.target.value)));
  place("segment").addEventListener("click", segment);
  for (const button of document.querySelectorAll(".tab")) button.addEventListener("click", () => choose(button.dataset.tab));
  pen.start({ tell, working, changed: maskChanged, saved: (name) => { readCases(); review.changed(name); } });
  opening.start(async (names, told) => { await readCases(); choose("cases"); await open(names[0]); tell(told); });
  choose("cases");
  wordsChanged();
  await working(word("loading"), async () => {
    await readCases();
    tell("");
  });
  const reviewing = { tell, working, open, decided: readCases, penInHand: pen.inHand, shown: (name, file, legend, isNewest) => {
    if (isNewest && !legend) pen.maskIs(name, file);
    maskChanged(name, file, legend || LABELS);
  } };
  const tabs = { review: () => review.start(reviewing), generators: () => generators.start(readCases), rounds: () => rounds.start(async (name) => { choose("cases"); await readCases(); await open(name); }) };
  for (const [tab, start] of Object.entries(tabs)) {
    start().then(() => { document.querySelector(`[data-tab=${tab}]`).hidden = false; }).catch(() => {});
  }
  clinic.start().catch(() => {});
}
begin();
