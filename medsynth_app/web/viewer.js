// The picture: NiiVue with one sequence, the mask over it, and the strokes of the pen.
import { DIFFERENCE_COLORS, MASK_COLORS, STROKE_COLORS } from "./labels.js";
import { ask, place } from "./server.js";
import { countLabels, niftiFile, overlaid } from "./strokes.js";

const VIEWS = { multi: 3, axial: 0, coronal: 1, sagittal: 2, render: 4 };
const MOST_UNDO = 60;
let nv = null;
let shown = { name: null, image: null, mask: null, file: null, colors: MASK_COLORS };
let drawn = {};
let drawing = Promise.resolve();
const pen = { on: false, value: 1, size: 3, strokes: 0, onStroke: () => {} };

export const viewNames = Object.keys(VIEWS);
async function start() {
  if (nv) return;
  nv = new window.niivue.Niivue({ show3Dcrosshair: true, backColor: [0, 0, 0, 1], isColorbar: false, dragAndDropEnabled: false,
    isRadiologicalConvention: true, loadingText: "", maxDrawUndoBitmaps: MOST_UNDO + 2, penSize: pen.size, crosshairWidth: 0.4, crosshairGap: 5 });
  await nv.attachToCanvas(place("canvas"));
  new ResizeObserver(() => nv.resizeListener()).observe(place("canvas").parentElement);
  nv.setInterpolation(false);
  nv.setSliceType(VIEWS.multi);
  nv.setDrawColormap(STROKE_COLORS);
  nv.setDrawOpacity(0.9);
  nv.onDrawingChanged = (action) => { if (action === "draw") stroked(); };
}
async function volume(buffer, name, options) {
  return window.niivue.NVImage.loadFromUrl({ url: buffer, name, ...options });
}
// One drawing after the other; each draws what is to be seen by then.
function draw() { drawing = drawing.then(drawNow, drawNow); return drawing; }
async function drawNow() {
  await start();
  const wanted = { ...shown };
  if (wanted.image !== drawn.image) await changeImage(wanted);
  else if (wanted.mask !== drawn.mask || wanted.colors !== drawn.colors) await changeMask(wanted);
  drawn = wanted;
  nv.updateGLVolume();
}
async function changeImage(wanted) {
  const strokes = wanted.name === drawn.name && pen.strokes ? nv.drawBitmap : null;
  if (nv.drawBitmap) nv.closeDrawing();
  for (const old of [...nv.volumes]) nv.removeVolume(old);
  if (wanted.image) nv.addVolume(await volume(wanted.image, "image.nii.gz", { colormap: "gray" }));
  if (wanted.mask) await changeMask(wanted);
  openDrawing(strokes);
}
async function changeMask(wanted) {
  for (const old of nv.volumes.slice(1)) nv.removeVolume(old);
  if (!wanted.mask) return;
  const mask = await volume(wanted.mask, "mask.nii.gz", { opacity: Number(place("opacity").value) });
  mask.setColormapLabel(wanted.colors);
  nv.addVolume(mask);
}
// What was seen of the case before goes at once, whether or not the next one can be read.
export function openCase(name) {
  pen.strokes = 0;
  shown = { name, image: null, mask: null, file: null, colors: MASK_COLORS };
  return draw();
}
export async function showSequence(name, modality, stillWanted) {
  const query = new URLSearchParams({ image: name, ...(modality ? { modality } : {}) });
  const image = await (await ask(`/datastore/image?${query}`)).arrayBuffer();
  if (shown.name !== name || !stillWanted()) return; // another was chosen meanwhile
  shown.image = image;
  await draw();
}
export async function showMask(name, file, isDifference = false) {
  const mask = file && file === shown.file ? shown.mask : file && await file.arrayBuffer();
  if (shown.name !== name) return;
  shown = { ...shown, mask: mask || null, file: file || null, colors: isDifference ? DIFFERENCE_COLORS : MASK_COLORS };
  await draw();
}
export function goTo(millimetres) {
  if (!millimetres) return;
  nv.scene.crosshairPos = nv.mm2frac(millimetres);
  nv.drawScene();
}
export function step(...voxels) {
  if (!nv || !nv.volumes.length) return;
  nv.moveCrosshairInVox(...voxels);
  if (nv.drawBitmap) nv.refreshDrawing(true);
  nv.drawScene();
}
export const setView = (name) => nv && nv.setSliceType(VIEWS[name]);
export const setOpacity = (value) => nv && nv.volumes.length > 1 && nv.setOpacity(1, value);

// ---- the pen
function openDrawing(strokes) {
  if (!pen.on || !nv.volumes.length) { pen.strokes = 0; return; }
  nv.setDrawingEnabled(true);
  nv.createEmptyDrawing();
  nv.setPenValue(pen.value);
  if (strokes && strokes.length === nv.drawBitmap.length) {
    nv.drawBitmap.set(strokes);
    nv.drawAddUndoBitmap();
    nv.refreshDrawing(true);
    pen.strokes = 1;
  } else pen.strokes = 0;
}
function stroked() { pen.strokes = Math.min(pen.strokes + 1, MOST_UNDO); pen.onStroke(); }
export function onStroke(call) { pen.onStroke = call; }
export const strokes = () => pen.strokes;
export async function setPen(on) {
  pen.on = on;
  await drawing;
  if (!nv) return;
  if (on) openDrawing(null);
  else { nv.setDrawingEnabled(false); clearStrokes(); }
}
export function choosePen(value) { pen.value = value; if (nv) nv.setPenValue(value); }
export function setPenSize(size) { pen.size = size; if (nv) nv.opts.penSize = size; }
export function undoStroke() { nv.drawUndo(); pen.strokes -= 1; pen.onStroke(); }
export function clearStrokes() {
  if (nv && nv.drawBitmap) nv.closeDrawing();
  pen.strokes = 0;
  if (pen.on && nv) openDrawing(null);
  pen.onStroke();
}
// A dot of the pen where the crosshair is, for who draws without a mouse.
export function stamp() {
  if (!pen.on || !nv.drawBitmap) return;
  const [x, y, z] = nv.frac2vox(nv.scene.crosshairPos).map(Math.round);
  nv.drawPenAxCorSag = VIEWS.axial;
  nv.drawPt(x, y, z, pen.value);
  nv.drawPenAxCorSag = -1;
  nv.drawAddUndoBitmap();
  nv.refreshDrawing(true);
  stroked();
}
const maskVoxels = () => (shown.mask && nv.volumes[1] ? nv.volumes[1].img : null);
// Mask and strokes in one label file; null where the mask lies on another grid than the sequence that is drawn on.
export async function drawnLabel(values) {
  await drawing;
  const image = nv.volumes[0], mask = maskVoxels();
  if (!image || !nv.drawBitmap) return null;
  if (mask && mask.length !== nv.drawBitmap.length) return null;
  const { voxels, marked } = overlaid(image, mask, nv.drawBitmap, values);
  return { file: await niftiFile(image, voxels, "label"), marked };
}
// ml of each label 1..3 in the mask that is shown.
export function maskVolumes() { return maskVoxels() ? countLabels(maskVoxels(), nv.volumes[1]).slice(1) : null; }
