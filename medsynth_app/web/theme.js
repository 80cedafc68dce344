// Dark or light: as the system says, or as chosen. No module: it runs before anything is painted.
(() => {
  const KEY = "medsynth-theme", system = matchMedia("(prefers-color-scheme: light)");
  const chosen = () => { const kept = localStorage.getItem(KEY); return ["dark", "light"].includes(kept) ? kept : "auto"; };
  const apply = () => { document.documentElement.dataset.theme = chosen() === "auto" ? (system.matches ? "light" : "dark") : chosen(); };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = chosen();
    select.addEventListener("change", () => { localStorage.setItem(KEY, select.value); apply(); });
  });
})();
