// Where the symptoms alone point to: a list with reasons and a glass brain, before any image is there.
import { element, json, svg } from "./server.js";
import { currentLanguage, word } from "./words.js";

const SHOWN = 6;
// Outlines in MNI millimetres, drawn by hand: from above (x, y) and from the left (y, z).
const VIEWS = [
  { name: "from_above", at: ([x, y]) => [x, -y], box: "-80 -80 160 195",
    outline: "M0,-72 C30,-74 58,-45 66,-5 C73,35 66,75 42,96 C28,107 10,108 0,104 C-10,108 -28,107 -42,96 C-66,75 -73,35 -66,-5 C-58,-45 -30,-74 0,-72 Z M0,-72 L0,104" },
  { name: "from_left", at: ([, y, z]) => [-y, -z], box: "-80 -90 195 160",
    outline: "M-72,-10 C-70,-50 -30,-80 20,-80 C70,-80 106,-45 106,5 C106,30 95,45 75,52 C62,66 40,66 30,52 L24,70 L10,70 L14,40 C-5,45 -25,40 -32,28 C-55,28 -72,15 -72,-10 Z" },
];

export async function suspects(answers) {
  const found = await json(`/medsynth/api/regions/suspected?lang=${currentLanguage()}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...answers, limit: SHOWN }) });
  if (!found.suspected.length) return [element("p", {}, word("points_nowhere"))];
  const rows = found.suspected.map((row) => element("li", {}, element("strong", {}, `${row.name} `), `${Math.round(100 * row.probability)} %`,
    element("small", {}, ` ${row.reasons.map((each) => each.name).join(", ")}`)));
  return [
    ...found.red_flags.map((flag) => element("p", { class: "flag", role: "alert" }, currentLanguage() === "ko" ? flag.text_ko : flag.text_en)),
    element("h3", {}, word("suspected")), element("div", { class: "row", id: "glass-brain" }, ...VIEWS.map((view) => glass(view, found.suspected))),
    element("ol", { id: "suspected" }, ...rows)];
}
function glass(view, rows) {
  const most = Math.max(...rows.map((row) => row.probability));
  const dots = rows.map((row) => {
    const [x, y] = view.at(row.center_mm);
    const dot = svg("circle", { cx: x, cy: y, r: 4 + 9 * Math.sqrt(row.probability / most), class: "suspect", "fill-opacity": 0.25 + (0.6 * row.probability) / most });
    dot.append(svg("title", {}, row.name));
    return dot;
  });
  const drawn = svg("svg", { viewBox: view.box, role: "img", class: "glass", "aria-label": `${word(view.name)}: ${rows.map((row) => row.name).join(", ")}` });
  drawn.append(svg("path", { d: view.outline, class: "brain" }), ...dots);
  if (view.name === "from_above") drawn.append(svg("text", { x: -76, y: -62, class: "side-mark" }, "L"), svg("text", { x: 66, y: -62, class: "side-mark" }, "R"));
  return drawn;
}
