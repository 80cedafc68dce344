// The course of a skin lesion: a slider through its pictures, and the classifier's curve with the place on it.
import { fieldName } from "./fields.js";
import { element, picture, svg } from "./server.js";
import { word } from "./words.js";

const WIDTH = 420, HEIGHT = 180, LEFT = 44, BOTTOM = 30, TOP = 12;

function curve(steps, mark) {
  const alphas = steps.map((step) => step.alpha);
  const [low, high] = [Math.min(...alphas), Math.max(...alphas)];
  const x = (alpha) => LEFT + ((alpha - low) / (high - low || 1)) * (WIDTH - LEFT - 12);
  const y = (probability) => HEIGHT - BOTTOM - probability * (HEIGHT - BOTTOM - TOP);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": fieldName("melanoma_probability") });
  for (const tick of [0, 0.5, 1]) {
    chart.append(svg("line", { x1: LEFT, x2: WIDTH - 12, y1: y(tick), y2: y(tick), class: "grid" }), svg("text", { x: 6, y: y(tick) + 4 }, tick.toFixed(1)));
  }
  chart.append(svg("polyline", { points: steps.map((step) => `${x(step.alpha)},${y(step.melanoma_probability)}`).join(" "), class: "line" }),
    svg("text", { x: LEFT, y: HEIGHT - 8 }, `${fieldName("alpha")} ${low.toFixed(1)}`), svg("text", { x: WIDTH - 12, y: HEIGHT - 8, "text-anchor": "end" }, high.toFixed(1)));
  const dot = svg("circle", { r: 6, class: "dot" });
  chart.append(dot);
  mark((index) => { dot.setAttribute("cx", x(steps[index].alpha)); dot.setAttribute("cy", y(steps[index].melanoma_probability)); });
  return chart;
}
export function courseView(facts) {
  const { frames = [], steps = [] } = facts;
  if (!frames.length || frames.length !== steps.length) return null;
  let moveDot = () => {};
  const image = element("img", { id: "course-picture", alt: "" });
  const said = element("output", { id: "course-said", for: "course-slider" });
  const slider = element("input", { id: "course-slider", type: "range", min: 0, max: frames.length - 1, step: 1, value: 0, "aria-label": word("course"), oninput: () => show(Number(slider.value)) });
  const chart = curve(steps, (mover) => { moveDot = mover; });
  function show(index) {
    const step = steps[index];
    image.src = picture(frames[index]);
    image.alt = `${fieldName("alpha")} ${step.alpha.toFixed(2)}`;
    said.textContent = `${fieldName("alpha")} ${step.alpha.toFixed(2)} · ${fieldName("melanoma_probability")} ${step.melanoma_probability.toFixed(2)}`;
    slider.setAttribute("aria-valuetext", said.textContent);
    moveDot(index);
  }
  show(0);
  return element("figure", { class: "course" }, image, element("div", {}, element("label", { for: "course-slider" }, word("course")), slider, said, chart),
    element("figcaption", {}, word("simulated")));
}
