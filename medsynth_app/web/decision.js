// What a clinician decides on a cross-check: accept, reject, or amend with another mask.
import { ask, element, form } from "./server.js";
import { word } from "./words.js";

const ACTIONS = ["accept", "amend", "reject"];
const FILE = "";

export function decision(record, tags) {
  const user = element("input", { id: "decider", required: true, maxlength: 100 });
  const reason = element("input", { id: "reason", required: true, maxlength: 2000 });
  const file = element("input", { id: "amend-file", type: "file", accept: ".nii,.gz,.nrrd" });
  const tag = element("select", { id: "amend-tag", onchange: () => { file.disabled = tag.value !== FILE; } },
    element("option", { value: FILE }, word("amend_file")), ...[...new Set(["final", ...tags])].map((each) => element("option", { value: each }, word("amend_tag", each))));
  const said = element("p", { role: "status", id: "decided" });
  const buttons = ACTIONS.map((action) => element("button", { type: "button", id: action, onclick: () => send(action) }, word(action)));
  async function send(action) {
    if (!user.reportValidity() || !reason.reportValidity()) return;
    said.classList.remove("error");
    try {
      if (action === "amend" && tag.value === FILE && !file.files.length) throw new Error(word("amend_needs"));
      await ask(`/medsynth/api/cross-check/${record.id}/decision`, form(asked(action)));
      said.textContent = word("decided", word(action));
      for (const each of [...buttons, user, reason, file, tag]) each.disabled = true;
    } catch (error) { said.textContent = error.message; said.classList.add("error"); }
  }
  function asked(action) {
    const params = { action, user: user.value, reason: reason.value };
    if (action !== "amend") return { params: JSON.stringify(params) };
    return tag.value === FILE ? { params: JSON.stringify(params), label: file.files[0] } : { params: JSON.stringify({ ...params, tag: tag.value }) };
  }
  return element("fieldset", { class: "decision" }, element("legend", {}, word("decide")),
    element("label", {}, word("name"), user), element("label", {}, word("reason"), reason),
    element("details", {}, element("summary", {}, word("amend_with")), element("label", {}, word("amend_where"), tag), element("label", {}, word("amend_upload"), file)),
    element("div", { class: "row" }, ...buttons), said);
}
