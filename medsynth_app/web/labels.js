// The labels with their colours, which people with any kind of colour vision tell apart (Okabe and Ito).
export const LABELS = [
  { name: "necrotic_core", value: 1, color: [213, 94, 0] },
  { name: "edema", value: 2, color: [86, 180, 233] },
  { name: "enhancing_tumor", value: 3, color: [240, 228, 66] },
];
export const DIFFERENCES = [
  { name: "only_first", value: 1, color: [213, 94, 0] },
  { name: "only_second", value: 2, color: [86, 180, 233] },
  { name: "other_label", value: 3, color: [240, 228, 66] },
];
export const HEALTHY = { name: "not_tumor", value: 0, color: [255, 255, 255] };
export const HEALTHY_PEN = 4; // 0 is NiiVue's eraser of strokes

function table(rows) {
  const channel = (index) => [0, ...rows.map((row) => row.color[index])];
  return { R: channel(0), G: channel(1), B: channel(2), A: [0, ...rows.map(() => 255)], I: [0, ...rows.map((_, i) => i + 1)],
    labels: ["", ...rows.map((row) => row.name)] };
}
export const MASK_COLORS = table(LABELS);
export const DIFFERENCE_COLORS = table(DIFFERENCES);
// A stroke is lighter than the label that it asks for, so that it is seen on a mask of the same label.
export const STROKE_COLORS = table([...LABELS.map((row) => ({ ...row, color: row.color.map((c) => Math.round(c + 0.45 * (255 - c))) })), HEALTHY]);
