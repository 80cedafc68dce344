// Calls to the server; a refusal becomes an Error with the server's own sentence.
export async function ask(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error(typeof body.detail === "string" ? body.detail : `${response.status} ${response.statusText}`);
  }
  return response;
}
export const json = async (path, options) => (await ask(path, options)).json();
export function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) data.append(name, value);
  return { method: "POST", body: data };
}
// MONAI Label answers one part "params" (JSON) and one part "image" (a file).
export async function infer(model, query, fields) {
  const response = await ask(`/infer/${encodeURIComponent(model)}?${new URLSearchParams({ ...query, output: "all" })}`, form(fields));
  if ((response.headers.get("content-type") || "").startsWith("application/json")) return { params: await response.json() };
  const parts = await response.formData();
  const params = parts.get("params");
  return { params: JSON.parse(typeof params === "string" ? params : await params.text()), image: parts.get("image") };
}
// DOM without innerHTML: nothing that came over the wire is ever parsed as markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}
export function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}
// A picture inside an answer: a data URI, or bare base64 of a PNG.
export const picture = (text) => (text.startsWith("data:image/") ? text : `data:image/png;base64,${text}`);
export const place = (id) => document.getElementById(id);
