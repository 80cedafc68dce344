// The picture: NiiVue with one sequence and the mask over it.
import { ask, place } from "./server.js";

const VIEWS = { multi: 3, axial: 0, coronal: 1, sagittal: 2, render: 4 };
const COLORS = { R: [0, 224, 88, 242], G: [0, 90, 179, 193], B: [0, 79, 104, 78], A: [0, 255, 255, 255], I: [0, 1, 2, 3] };
let nv = null;
let shown = { name: null, image: null, mask: null };
let drawing = Promise.resolve();

export const viewNames = Object.keys(VIEWS);
async function start() {
  if (nv) return;
  nv = new window.niivue.Niivue({ show3Dcrosshair: true, backColor: [0, 0, 0, 1], isColorbar: false, dragAndDropEnabled: false,
    isRadiologicalConvention: true, loadingText: "" });
  await nv.attachToCanvas(place("canvas"));
  nv.setInterpolation(false);
  nv.setSliceType(VIEWS.multi);
}
async function volume(buffer, name, options) {
  return window.niivue.NVImage.loadFromUrl({ url: buffer, name, ...options });
}
// One drawing after the other; each draws what is to be seen by then.
function draw() { drawing = drawing.then(drawNow, drawNow); return drawing; }
async function drawNow() {
  await start();
  for (const old of [...nv.volumes]) nv.removeVolume(old);
  if (shown.image) nv.addVolume(await volume(shown.image, "image.nii.gz", { colormap: "gray" }));
  if (shown.mask) {
    const mask = await volume(shown.mask, "mask.nii.gz", { opacity: Number(place("opacity").value) });
    mask.setColormapLabel(COLORS);
    nv.addVolume(mask);
  }
  nv.updateGLVolume();
}
// What was seen of the case before goes at once, whether or not the next one can be read.
export function openCase(name) { shown = { name, image: null, mask: null }; return draw(); }
export async function showSequence(name, modality, stillWanted) {
  const query = new URLSearchParams({ image: name, ...(modality ? { modality } : {}) });
  const image = await (await ask(`/datastore/image?${query}`)).arrayBuffer();
  if (shown.name !== name || !stillWanted()) return; // another was chosen meanwhile
  shown.image = image;
  await draw();
}
export async function showMask(name, file) {
  const mask = file ? await file.arrayBuffer() : null;
  if (shown.name !== name) return;
  shown.mask = mask;
  await draw();
}
export function goTo(millimetres) {
  if (!millimetres) return;
  nv.scene.crosshairPos = nv.mm2frac(millimetres);
  nv.drawScene();
}
export const setView = (name) => nv && nv.setSliceType(VIEWS[name]);
export const setOpacity = (value) => nv && nv.volumes.length > 1 && nv.setOpacity(1, value);
