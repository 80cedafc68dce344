// Files as they come from a disk -> cases to open, by the names of the files; the user can change all of it.
export const MODALITIES = ["flair", "t1", "t1ce", "t2"];
const VOLUMES = [".nii.gz", ".nii", ".nrrd"], PICTURES = [".png", ".jpg", ".jpeg"];
export const ENDINGS = ["DICOM", ...VOLUMES, ...PICTURES];
const MOST_OF_ONE = 5; // four sequences and a label
// In this order: "t2 flair" is no T2, "t1 gd" no T1. The words are those of docs/studies.md, then looser ones.
const WORDS = [
  ["label", /(^|[_\-. ])(seg|segm|segmentation|tumou?r[_\- ]?(segmentation|mask)|label|gt)$/i],
  ["flair", /(^|[_\-. ])(t2[_\- ]?)?(flair|fla|t2f)([_\-. ]|$)/i],
  ["t1ce", /(^|[_\-. ])t1w?[_\-. ]?(ce|c|gd|post|gad|contrast|km)\w*([_\-. ]|$)|(^|[_\-. ])ce-\w+_t1w/i],
  ["t2", /(^|[_\-. ])t2w?([_\-. ]|$)/i],
  ["t1", /(^|[_\-. ])t1(w|n|pre)?([_\-. ]|$)/i],
];
const NUMBERED = /_(000[0-3])$/;
const ends = (name, endings) => endings.find((ending) => name.toLowerCase().endsWith(ending));
const placeOf = (file) => file.place || file.webkitRelativePath || file.name;
function stemOf(name) { return name.slice(0, name.length - (ends(name, [...VOLUMES, ...PICTURES]) || "").length); }
// Its sequence, and what stands before the word that tells it: the files of one case have that in common.
function partOf(file) {
  const stem = stemOf(file.name), numbered = stem.match(NUMBERED);
  if (numbered) return { role: MODALITIES[Number(numbered[1])], stem: stem.slice(0, numbered.index) };
  for (const [role, words] of WORDS) {
    const match = stem.match(words);
    if (match) return { role, stem: stem.slice(0, match.index) };
  }
  return { role: null, stem };
}
async function isDicom(file) {
  if (file.size < 132) return false;
  return (await file.slice(128, 132).text()) === "DICM";
}
function commonStart(texts) {
  let common = texts[0];
  for (const text of texts) while (!text.startsWith(common)) common = common.slice(0, -1);
  return common.replace(/[_\-. ]+$/, "").replace(/^[_\-. ]+/, "");
}
const folderOf = (file) => placeOf(file).split("/").slice(0, -1).join("/");
function topFolder(files) {
  const tops = new Set(files.map((file) => placeOf(file)).map((path) => (path.includes("/") ? path.split("/")[0] : "")));
  return tops.size === 1 ? [...tops][0] : "";
}
function groups(volumes) {
  const parts = volumes.map(partOf), known = parts.map((part) => part.role).filter(Boolean);
  const folders = new Set(volumes.map(folderOf));
  const isOne = volumes.length === 1 || (known.length && new Set(known).size === known.length && folders.size === 1 && volumes.length <= MOST_OF_ONE);
  if (isOne) return [volumes];
  const found = new Map();
  volumes.forEach((file, index) => {
    const key = `${folderOf(file)}/${parts[index].stem}`;
    found.set(key, [...(found.get(key) || []), file]);
  });
  return [...found.values()];
}
function caseOf(files) {
  const parts = files.map(partOf);
  const entries = files.map((file, index) => ({ file, role: parts[index].role || (files.length === 1 ? "alone" : "left_out") }));
  if (entries.length === 1 && entries[0].role === "label") entries[0].role = "left_out";
  const name = commonStart(parts.map((part) => part.stem)) || folderOf(files[0]).split("/").pop() || "case";
  return { kind: "files", name, files: entries };
}
export async function planned(files) {
  const visible = files.filter((file) => !file.name.startsWith(".") && file.name !== "DICOMDIR");
  const volumes = visible.filter((file) => ends(file.name, VOLUMES)), pictures = visible.filter((file) => ends(file.name, PICTURES));
  const others = visible.filter((file) => !volumes.includes(file) && !pictures.includes(file));
  const checked = await Promise.all(others.map(isDicom)), dicom = others.filter((_, index) => checked[index]);
  const cases = dicom.length ? [{ kind: "dicom", name: topFolder(dicom) || "study", files: dicom }] : [];
  if (volumes.length) cases.push(...groups(volumes).map(caseOf));
  if (!cases.length) cases.push(...pictures.map((file) => ({ kind: "files", name: stemOf(file.name), files: [{ file, role: "alone" }] })));
  const taken = cases.reduce((sum, each) => sum + each.files.length, 0);
  return { cases, passed: files.length - taken };
}
