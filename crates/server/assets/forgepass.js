// Conveniences only: every page works without this file.
"use strict";

// Copy buttons stay hidden until they can work.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
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

// Times in the reader's own zone.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.title = time.textContent;
  time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
