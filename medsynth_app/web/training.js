// Training of the segmentation: start, stop, and how far it is.
import { ask, element, json, place } from "./server.js";
import { word } from "./words.js";

const MODEL = "brain_tumor_segmentation";
const SECONDS_BETWEEN_LOOKS = 3;
const RUNNING = ["RUNNING", "PENDING", "SUBMITTED"];
let mayTrain = false;
let task = null;
let onEnd = () => {};
let wasRunning = false;
let timer = null;

export async function start(trainers, isAdmin, ended, trainings) {
  onEnd = ended;
  const trainer = trainers[MODEL];
  place("training").hidden = !trainer;
  if (!trainer) return;
  mayTrain = isAdmin;
  place("epochs").value = trainer.config?.max_epochs ?? 50;
  place("train-form").addEventListener("submit", (event) => { event.preventDefault(); train(); });
  place("train-stop").addEventListener("click", stop);
  show();
  await notice(trainings);
}
// What the rounds say of trainings: one that somebody else started is watched too; a server that never trained is not asked.
export async function notice({ running = 0, known = 0 } = {}) {
  if (place("training").hidden || isRunning() || !(task ? running : known)) return;
  await look();
}
export function wordsChanged() { if (!place("training").hidden) show(); }
function say(text, failed = false) { place("train-said").textContent = text; place("train-said").classList.toggle("error", failed); }
async function act(work) {
  place("train-go").disabled = place("train-stop").disabled = true;
  try { await work(); await look(); } catch (error) { show(); say(error.message, true); }
}
const train = () => act(() => ask(`/train/${MODEL}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ max_epochs: Number(place("epochs").value) }) }));
const stop = () => act(() => ask("/train/", { method: "DELETE" }));
async function look() {
  clearTimeout(timer);
  const answer = await fetch("/train/", { credentials: "same-origin" });
  task = answer.ok ? await answer.json() : null;
  show();
  if (isRunning()) timer = setTimeout(() => look().catch(() => { timer = setTimeout(look, 1000 * SECONDS_BETWEEN_LOOKS); }), 1000 * SECONDS_BETWEEN_LOOKS);
  else if (wasRunning) await onEnd();
  wasRunning = isRunning();
}
const isRunning = () => Boolean(task) && RUNNING.includes(task.status);
function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : minutes ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}
function show() {
  const running = isRunning(), progress = task?.progress || {};
  // Until the new run says its first word, the figures are those of the one before.
  const isFresh = running && progress.published === undefined && progress.total_epochs;
  place("train-go").disabled = running || !mayTrain;
  place("train-stop").disabled = !running || !mayTrain;
  place("train-bar").hidden = !running;
  if (isFresh && progress.epoch) { place("train-bar").max = progress.total_epochs; place("train-bar").value = progress.epoch; } else place("train-bar").removeAttribute("value");
  const facts = [];
  if (running) {
    if (!isFresh) facts.push(["state", word("train_starts")]);
    else facts.push(["epoch", `${progress.epoch} / ${progress.total_epochs}`], ["best_dice", progress.best_metric ? progress.best_metric.toFixed(3) : "–"],
      ["eta", progress.eta_seconds === undefined ? "–" : duration(progress.eta_seconds)]);
  } else if (task) {
    facts.push(["last_training", word(task.broken_off ? "broken_off_short" : `task_${task.status}`)]);
    if (task.status === "DONE" && progress.published !== undefined) facts.push(["outcome", word(progress.published ? "published" : "not_published")], ["best_dice", progress.best_metric ? progress.best_metric.toFixed(3) : "–"]);
  }
  place("train-facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, word(name)), element("dd", {}, value))));
  say(mayTrain ? "" : word("admin_only"));
}
