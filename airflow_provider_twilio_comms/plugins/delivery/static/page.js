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

// Times are written in UTC; the time zone that is chosen in Airflow's UI replaces it.
function zone() {
  try {
    const stored = localStorage.getItem("timezone") ?? "UTC";
    const name = stored.startsWith('"') ? JSON.parse(stored) : stored;
    new Intl.DateTimeFormat("en", { timeZone: name });
    return name;
  } catch {
    return "UTC";
  }
}

function local(at, text, timeZone) {
  const asked = { timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit",
    minute: "2-digit", second: "2-digit" };
  const told = {};
  for (const { type, value } of new Intl.DateTimeFormat("en-GB", asked).formatToParts(at)) told[type] = value;
  const clock = `${told.hour}:${told.minute}`;
  if (text.length === 5) return clock;
  if (text.length === 6) {
    return `${told.day} ${new Intl.DateTimeFormat("en-US", { timeZone, month: "short" }).format(at)}`;
  }
  return `${told.year}-${told.month}-${told.day} ${clock}${text.length > 16 ? ":" + told.second : ""}`;
}

function tell() {
  const name = zone();
  if (name === "UTC") return;
  for (const time of document.querySelectorAll("time")) {
    time.textContent = local(new Date(time.dateTime), time.textContent, name);
  }
  for (const title of document.querySelectorAll(".chart title")) {
    const [utc] = title.textContent.match(/^.{16}/);
    title.textContent = title.textContent.replace(utc, local(new Date(`${utc.replace(" ", "T")}Z`), utc, name));
  }
  document.querySelector("#zone").textContent = name;
}
if (document.querySelector("#zone")) tell();

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
    tell();
  } catch {
    // the next time, then
  }
}
setInterval(refresh, EVERY);
