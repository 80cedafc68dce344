// The picture: NiiVue with one sequence and the mask over it.
import { ask, place } from "./server.js";

const VIEWS = { multi: 3, axial: 0, coronal: 1, sagittal: 2, render: 4 };
const COLORS = { R: [0, 224, 88, 242], G: [0, 90, 179, 193], B: [0, 79, 104, 78], A: [0, 255, 255, 255], I: [0, 1, 2, 3] };
let nv = null;
let shown = { image: null, mask: null };

export const viewNames = Object.keys(VIEWS);
async function start() {
  if (nv) return;
  nv = new window.niivue.Niivue({ show3Dcrosshair: true, backColor: [0, 0, 0, 1], isColorbar: false, dragAndDropEnabled: false });
  await nv.attachToCanvas(place("canvas"));
  nv.setInterpolation(false);
  nv.setSliceType(VIEWS.multi);
}
async function volume(buffer, name, options) {
  return window.niivue.NVImage.loadFromUrl({ url: buffer, name, ...options });
}
async function draw() {
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
export async function showSequence(name, modality) {
  const query = new URLSearchParams({ image: name, ...(modality ? { modality } : {}) });
  shown.image = await (await ask(`/datastore/image?${query}`)).arrayBuffer();
  await draw();
}
export async function showMask(file) {
  shown.mask = file ? await file.arrayBuffer() : null;
  await draw();
}
export function goTo(millimetres) {
  if (!millimetres) return;
  nv.scene.crosshairPos = nv.mm2frac(millimetres);
  nv.drawScene();
}
export const forgetMask = () => { shown.mask = null; };
export const setView = (name) => nv && nv.setSliceType(VIEWS[name]);
export const setOpacity = (value) => nv && nv.volumes.length > 1 && nv.setOpacity(1, value);
