"use strict";
// Airflow's theme, before anything is drawn: that of the page around this one, else what its UI has stored.
(() => {
  const page = document.documentElement;
  let around = null;
  try {
    if (parent !== window) around = parent.document.documentElement;
  } catch {
    // somebody else's frame
  }
  const apply = () => {
    let theme = around && ["dark", "light"].find((name) => around.classList.contains(name));
    try {
      theme ||= localStorage.getItem("theme");
    } catch {
      // no storage
    }
    if (theme === "dark" || theme === "light") page.dataset.theme = theme;
    else delete page.dataset.theme;
  };
  apply();
  if (around) new MutationObserver(apply).observe(around, { attributeFilter: ["class"] });
})();
