"use strict";
// Airflow's theme, before anything is drawn: that of the page around this one, else what its UI has stored.
// Background, font and colours are those of the page around, so that there is no seam; page.css has them too,
// for a page of its own.
const COLOURS = { ink: "fg", soft: "fg-muted", line: "border", shade: "bg-muted", link: "fg-info",
  delivered: "success-solid", failed: "failed-solid", open: "fg-subtle", good: "success-fg",
  "good-back": "success-subtle", bad: "failed-fg", "bad-back": "failed-subtle", wait: "deferred-fg",
  "wait-back": "deferred-subtle", way: "running-fg", "way-back": "running-subtle" };
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
    if (around) {
      const [body, root] = [parent.document.body, around].map((each) => parent.getComputedStyle(each));
      const behind = [body, root].map((each) => each.backgroundColor).find((each) => each !== "rgba(0, 0, 0, 0)");
      if (behind) page.style.setProperty("--back", behind);
      page.style.setProperty("--font", body.fontFamily);
      for (const [name, token] of Object.entries(COLOURS)) {
        const colour = root.getPropertyValue(`--chakra-colors-${token}`).trim();
        if (colour) page.style.setProperty(`--${name}`, colour);
      }
      // The tab of a task stands below a heading that says which one.
      page.toggleAttribute("data-tab", parent.location.pathname.includes("/tasks/"));
    }
  };
  apply();
  if (around) {
    new MutationObserver(apply).observe(around, { attributeFilter: ["class"] });
    // Airflow fades from one background to the other: the last one counts.
    parent.document.addEventListener("transitionend", (event) => {
      if (event.target === parent.document.body || event.target === around) apply();
    });
  }
})();
