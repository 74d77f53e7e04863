// Asks the first page N times and counts who answered. Nothing is kept by the browser between two requests.
"use strict";

const form = document.querySelector("form");
const status = document.querySelector("#status");
const body = document.querySelector("tbody");
const AT_ONCE = 8;

function show(counts, done, failed) {
  const total = done - failed;
  const rows = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([who, count]) => {
    const row = document.createElement("tr");
    const [pod, worker] = JSON.parse(who);
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.width = `${(100 * count) / total}%`;
    for (const value of [pod, worker, count]) {
      row.insertCell().textContent = value;
    }
    row.insertCell().append(bar);
    return row;
  });
  body.replaceChildren(...rows);
  const pods = new Set([...counts.keys()].map((who) => JSON.parse(who)[0]));
  status.textContent =
    `${done} requests, ${failed} failed, answered by ${pods.size} pods and ${counts.size} workers`;
}

async function ask() {
  const answer = await fetch(form.dataset.url, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    signal: AbortSignal.timeout(10000),
  });
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  const { pod, worker } = await answer.json();
  return JSON.stringify([pod, worker]);
}

async function run(requests) {
  const counts = new Map();
  let begun = 0;
  let done = 0;
  let failed = 0;
  async function asker() {
    while (begun++ < requests) {
      try {
        const who = await ask();
        counts.set(who, (counts.get(who) ?? 0) + 1);
      } catch {
        failed++;
      }
      done++;
      show(counts, done, failed);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, asker));
  status.dataset.done = done;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  await run(Math.min(Number(form.elements.n.value) || 1, 1000));
  button.disabled = false;
});
