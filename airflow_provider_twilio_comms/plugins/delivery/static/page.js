"use strict";
const EVERY = 15000;

// Airflow's frame may neither move the page around it nor open another: a link in that page may.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-leaves]");
  if (!link || parent === window) return;
  try {
    const outside = parent.document.createElement("a");
    outside.href = link.href;
    if (event.ctrlKey || event.metaKey || event.shiftKey || link.dataset.leaves === "new") {
      outside.target = "_blank";
      outside.rel = "noopener noreferrer";
    }
    event.preventDefault();
    outside.click();
  } catch {
    // somebody else's frame: the browser decides
  }
});

// While something is going on the page is read again, unless somebody is busy in it.
async function refresh() {
  const main = document.querySelector("main[data-going]");
  const busy = main?.contains(document.activeElement) || getSelection().toString();
  if (!main || document.hidden || busy) return;
  try {
    const reply = await fetch(location.href);
    if (!reply.ok) return;
    const read = new DOMParser().parseFromString(await reply.text(), "text/html");
    main.replaceWith(read.querySelector("main"));
    document.querySelector("#asof").replaceWith(read.querySelector("#asof"));
  } catch {
    // the next time, then
  }
}
setInterval(refresh, EVERY);
