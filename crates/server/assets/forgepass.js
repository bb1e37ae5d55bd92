// Conveniences only: every page works without this file.
"use strict";

// Copy buttons stay hidden until they can work.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  const label = [...button.childNodes];
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy";
    }
    setTimeout(() => { button.replaceChildren(...label); }, 2000);
  });
}

// Forms that take something away ask first.
function confirmed(form, button) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  text.textContent = form.dataset.confirm;
  text.id = "confirm-text";
  dialog.setAttribute("aria-labelledby", text.id);
  const row = document.createElement("div");
  row.className = "row";
  const no = document.createElement("button");
  no.type = "button";
  no.textContent = "Cancel";
  no.addEventListener("click", () => dialog.close());
  const yes = document.createElement("button");
  yes.type = "button";
  yes.className = "risky";
  yes.textContent = button ? button.textContent.trim() : "Yes";
  yes.addEventListener("click", () => { form.dataset.sure = "1"; dialog.close(); form.requestSubmit(button); });
  row.append(no, yes);
  dialog.append(text, row);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sure) return;
    event.preventDefault();
    confirmed(form, event.submitter);
  });
}

// A form that is on its way shows it, and does not go twice.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const busy = event.target.querySelector("[aria-busy]");
  if (busy) event.preventDefault();
  else event.submitter?.setAttribute("aria-busy", "true");
});
// Going back shows the page as it was left.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// Times in the reader's own zone.
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.textContent;
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}
localTimes(document);

// What is still on its way is looked at again, less and less often, until it has come or minutes have gone.
async function look() {
  const page = await fetch(location.href);
  if (!page.ok || page.redirected) return;
  const latest = new DOMParser().parseFromString(await page.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = latest.getElementById(part.id);
    // What has the focus is left alone: it would lose it.
    if (!now || part.contains(document.activeElement)) continue;
    localTimes(now);
    part.replaceChildren(...now.childNodes);
    part.toggleAttribute("data-live", now.hasAttribute("data-live"));
  }
}
async function follow(pause) {
  if (!document.querySelector("[data-live]") || pause > 60000) return;
  // A server that is away leaves the page as it is.
  if (!document.hidden) await look().catch(() => {});
  setTimeout(follow, pause, pause * 1.5);
}
setTimeout(follow, 1000, 1000);
