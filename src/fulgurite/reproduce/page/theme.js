"use strict";
// The page is whole without scripts; this one switches between light and dark.
const root = document.documentElement;
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const name = () => (button.textContent = isDark() ? "Light" : "Dark");
button.setAttribute("aria-label", "Switch between light and dark");
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  name();
});
system.addEventListener("change", name);
name();
button.hidden = false;
