// Open: files or a folder from the user's disk become cases, by a button or by drag and drop.
import { ENDINGS, MODALITIES, planned } from "./sorting.js";
import { tarOf } from "./tar.js";
import { element, form, place } from "./server.js";
import { word } from "./words.js";

const ROLES = [...MODALITIES, "label", "alone", "left_out"];
let plan = { cases: [], passed: 0 };
let running = null;
let isStopped = false;
let onOpened = () => {};

export function start(opened) {
  onOpened = opened;
  for (const [button, input] of [["pick-files", "open-files"], ["pick-folder", "open-folder"], ["welcome-files", "open-files"], ["welcome-folder", "open-folder"]]) {
    place(button).addEventListener("click", () => place(input).click());
  }
  for (const id of ["open-files", "open-folder"]) {
    place(id).addEventListener("change", (event) => { const files = [...event.target.files]; event.target.value = ""; take(files); });
  }
  place("open").addEventListener("click", () => { reset(); place("open-dialog").showModal(); });
  place("open-form").addEventListener("submit", (event) => { event.preventDefault(); upload(); });
  place("open-cancel").addEventListener("click", close);
  place("open-dialog").addEventListener("cancel", abort);
  place("open-dialog").addEventListener("keydown", (event) => event.stopPropagation()); // keys of the pen are not meant
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) { event.preventDefault(); document.body.classList.add("dropping"); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", async (event) => {
    document.body.classList.remove("dropping");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(await dropped(event.dataTransfer));
  });
}
export function wordsChanged() { if (place("open-dialog").open) show(); }
const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
// Folders are walked; without entries (another browser) the files alone.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  const plain = [...transfer.files];
  return entries.length ? (await Promise.all(entries.map(walk))).flat() : plain;
}
async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [Object.assign(file, { place: entry.fullPath.replace(/^\//, "") })];
  }
  const reader = entry.createReader(), found = [];
  for (;;) { // answers a hundred at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(walk))).flat();
}
function reset() { plan = { cases: [], passed: 0 }; say(""); place("open-result").replaceChildren(); show(); }
function abort() { if (running) { isStopped = true; running.abort(); } }
function close() { abort(); place("open-dialog").close(); }
function say(text, failed = false) { place("open-said").textContent = text; place("open-said").classList.toggle("error", failed); }
async function take(files) {
  if (running || !files.length) return;
  reset();
  if (!place("open-dialog").open) place("open-dialog").showModal();
  plan = await planned(files);
  say(plan.cases.length ? [word("found_cases", String(plan.cases.length)), plan.passed ? word("passed_over", String(plan.passed)) : ""].filter(Boolean).join(" · ")
    : word("nothing_to_open", ENDINGS.join(", ")), !plan.cases.length);
  show();
}
function show() {
  place("open-cases").replaceChildren(...plan.cases.map((each, index) => element("fieldset", {}, element("legend", {}, word(each.kind === "dicom" ? "dicom_study" : "case")),
    element("label", {}, word("case_name"), field(each, index)),
    each.kind === "dicom" ? element("p", {}, word("dicom_files", String(each.files.length))) : element("ul", {}, ...each.files.map((entry) => fileRow(each, entry))))));
  place("open-go").disabled = !plan.cases.length || Boolean(running);
}
function field(each, index) {
  return element("input", { name: `case-${index}`, value: each.name, required: true, maxlength: "100", onchange: (event) => { each.name = event.target.value; } });
}
function fileRow(each, entry) {
  const roles = ROLES.filter((role) => role !== "alone" || each.files.length === 1);
  return element("li", {}, element("label", {}, element("span", { title: entry.file.name }, entry.file.name), element("select", { onchange: (event) => { entry.role = event.target.value; } },
    ...roles.map((role) => element("option", { value: role, selected: role === entry.role }, MODALITIES.includes(role) ? role.toUpperCase() : word(`role_${role}`))))));
}
// One request a case; the next is sent even if one was refused.
async function upload() {
  const opened = [], told = [];
  running = new XMLHttpRequest();
  isStopped = false;
  show();
  for (const each of plan.cases) {
    if (isStopped) { told.push([each.name, word("stopped_upload"), true]); continue; }
    try {
      const answer = await sent(each);
      opened.push(...answer.cases.map((row) => row.case));
      for (const row of answer.cases) told.push([row.case, [row.missing.length ? word("missing", row.missing.join(", ").toUpperCase()) : word("opened"), ...row.notes].join(" · "), false]);
      for (const [name, reason] of Object.entries(answer.left_out || {})) told.push([name, word("not_taken", reason), false]);
    } catch (error) { told.push([each.name, error.message, true]); }
  }
  running = null;
  place("uploading").hidden = true;
  const isPlain = opened.length === plan.cases.length && told.every(([, , failed]) => !failed) && told.length === opened.length;
  plan = { cases: plan.cases.filter((each) => told.some(([name, , failed]) => failed && name === each.name)), passed: 0 };
  say(told.some(([, , failed]) => failed) ? word("some_refused") : word("opened"), told.some(([, , failed]) => failed));
  place("open-result").replaceChildren(...told.map(([name, text, failed]) => element("li", { class: failed ? "error" : "" }, element("strong", {}, name), ` ${text}`)));
  show();
  if (isPlain) place("open-dialog").close();
  if (opened.length) await onOpened(opened, told.map(([name, text]) => `${name}: ${text}`).join(" · "));
}
async function sent(each) {
  const [only] = each.files;
  if (each.kind !== "dicom" && only.role === "alone") {
    const stored = await transfer("PUT", `/datastore/image?${new URLSearchParams({ image: each.name })}`, form({ file: only.file }).body);
    return { cases: [{ case: stored.image, missing: [], notes: [] }] };
  }
  if (each.kind === "dicom") return transfer("POST", "/medsynth/api/cases", form({ name: each.name, dicom: new File([tarOf(each.files)], "study.tar") }).body);
  const used = each.files.filter((entry) => entry.role !== "left_out");
  const twice = used.find((entry, index) => used.findIndex((other) => other.role === entry.role) !== index);
  if (twice) throw new Error(word("role_twice", twice.role.toUpperCase()));
  return transfer("POST", "/medsynth/api/cases", form({ name: each.name, ...Object.fromEntries(used.map((entry) => [entry.role, entry.file])) }).body);
}
// fetch tells nothing of how far an upload is.
function transfer(method, path, body) {
  const bar = place("uploading");
  bar.hidden = false;
  return new Promise((done, failed) => {
    running = new XMLHttpRequest();
    running.open(method, path);
    running.responseType = "json";
    running.upload.onprogress = ({ loaded, total }) => {
      if (loaded < total) { bar.value = loaded / total; say(word("uploaded", `${(loaded / 1e6).toFixed(1)} / ${(total / 1e6).toFixed(1)} MB`)); }
      else { bar.removeAttribute("value"); say(word("server_reads")); }
    };
    running.onload = () => {
      const answer = running.response || {};
      if (running.status < 400) done(answer); else failed(new Error(typeof answer.detail === "string" ? answer.detail : `${running.status} ${running.statusText}`));
    };
    running.onerror = () => failed(new Error(word("no_answer")));
    running.onabort = () => failed(new Error(word("stopped_upload")));
    running.send(body);
  });
}
