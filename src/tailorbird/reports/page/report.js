"use strict";
// The page is whole without this: it makes the budget, tips and brushes work.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const cards = all("article[data-network]"), rows = all("tr[data-network]");
const form = document.querySelector("form.budget");
const [measure, range, field, said] = ["measure", "range", "most", "said"].map((name) => form.elements[name]);
all(".scripted").forEach((element) => { element.hidden = false; });

function show(number) {
  cards.forEach((card) => {
    card.hidden = card.dataset.network !== String(number);
    card.classList.toggle("other", card.hidden);
  });
  all("[data-network]").forEach((element) =>
    element.classList.toggle("chosen", element.dataset.network === String(number)));
}

// Budgets are tried on a scale of ratios: networks differ by factors, not by milliseconds.
const values = () => data.networks.map((network) => network.costs[measure.value]).filter((value) => value !== null);
function reach() {
  const known = values(), low = Math.min(...known), high = Math.max(...known);
  return { low, high, at: (share) => (low > 0 ? low * (high / low) ** share : low + (high - low) * share) };
}
const limit = () => data.limits[measure.value];
function choose(most) {
  const within = data.networks.filter((network) => {
    const cost = network.costs[measure.value];
    return cost !== null && cost <= most * (1 + 1e-9);
  });
  const unit = measure.selectedOptions[0].dataset.unit;
  if (!within.length) {
    said.textContent = `None is within ${most} ${unit}: the least is ${rounded(reach().low, Math.ceil)} ${unit}.`;
    show(-1);
    return;
  }
  const best = within.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  said.textContent = `The most accurate of ${within.length} within ${most} ${unit}, by ${data.by}:`;
  show(best.number);
}
function rounded(value, how = Math.round) {
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value) || 1)) - 3);
  return Number((how(value / unit) * unit).toPrecision(12));
}
function moved() {
  const share = range.value / range.max;
  // Rounded up, so that the end of the range holds the last network.
  field.value = rounded(reach().at(share), Math.ceil);
  choose(Number(field.value));
}
function placed(most) {
  const { low, high } = reach();
  const share = high > low ? (low > 0 ? Math.log(Math.max(most, low) / low) / Math.log(high / low) : (most - low) / (high - low)) : 1;
  range.value = Math.round(Math.min(1, Math.max(0, share)) * range.max);
}
function typed() {
  if (field.value === "" || !Number.isFinite(Number(field.value))) return;
  placed(Number(field.value));
  choose(Number(field.value));
}
range.addEventListener("input", moved);
field.addEventListener("input", typed);
function begin() {
  if (!values().length) return;
  if (limit() !== null) { field.value = limit(); typed(); } else { range.value = range.max; moved(); }
}
measure.addEventListener("change", begin);
form.addEventListener("submit", (event) => event.preventDefault());
begin();

// A link to a network shows it.
function follow(hash) {
  const found = /^#(?:row|network|front)-(\d+)$/.exec(hash);
  if (!found || !cards.some((card) => card.dataset.network === found[1])) return;
  said.textContent = "";
  show(found[1]);
  const cost = data.networks[Number(found[1])].costs[measure.value];
  if (cost === null) return;
  field.value = rounded(cost, Math.ceil);  // the least budget that it is within
  placed(cost);
}
addEventListener("hashchange", () => follow(location.hash));
// A second click on the same link changes no hash.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (link) follow(link.getAttribute("href"));
});
follow(location.hash);

all("button.copy").forEach((button) => button.addEventListener("click", async () => {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch {  // as in a file that a browser does not trust
    getSelection().selectAllChildren(code);
    button.textContent = "selected";
  }
}));

const tip = document.createElement("div");
tip.id = "tip"; tip.hidden = true; tip.setAttribute("aria-hidden", "true");
document.body.append(tip);
function told(target) {
  const drawn = target.closest?.("svg *");
  const title = drawn?.querySelector(":scope > title") ?? drawn?.closest("a")?.querySelector(":scope > title");
  tip.hidden = !title;
  if (!title) return;
  tip.textContent = title.textContent;
  const box = target.getBoundingClientRect();
  const left = Math.min(scrollX + box.left + box.width / 2, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${scrollY + box.bottom + 8}px`;
}
for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, (event) => told(event.target));

// Brushes: a rectangle over the front, a range on an axis. What is outside fades, here and in the table.
const ranges = new Map(), status = document.getElementById("brushed");
let inside = null;
function fade() {
  const kept = data.networks.filter((network) =>
    (!inside || inside.has(network.number)) &&
    [...ranges].every(([axis, [low, high]]) => {
      const value = network.values[axis];
      return value !== null && value >= low && value <= high;
    }));
  const numbers = new Set(kept.map((network) => String(network.number)));
  all("tr[data-network], .canvas a[data-network]").forEach((element) =>
    element.classList.toggle("out", !numbers.has(element.dataset.network)));
  const whole = kept.length === data.networks.length;
  status.textContent = whole ? "" : `${kept.length} of ${data.networks.length} networks are marked; Escape marks all again.`;
}
function clear() {
  inside = null;
  ranges.clear();
  all(".brush").forEach((brush) => brush.remove());
  all("ol.axes input").forEach((input) => { input.value = ""; });
  fade();
}
addEventListener("keydown", (event) => { if (event.key === "Escape") { tip.hidden = true; clear(); } });

function drag(element, canvas, done) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("a")) return;
    const from = canvas.getBoundingClientRect(), start = { x: event.clientX, y: event.clientY };
    let brush = null;
    const move = (now) => {
      const size = { x: Math.abs(now.clientX - start.x), y: Math.abs(now.clientY - start.y) };
      if (!brush) {
        if (Math.max(size.x, size.y) < 5) return;
        element.setPointerCapture(event.pointerId);
        brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        brush.classList.add("brush");
        canvas.append(brush);
      }
      const box = { x: Math.min(now.clientX, start.x) - from.left, y: Math.min(now.clientY, start.y) - from.top, width: size.x, height: size.y };
      for (const [name, value] of Object.entries(box)) brush.setAttribute(name, value);
      done(brush, box, from);
    };
    const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); removeEventListener("pointercancel", end); };
    addEventListener("pointermove", move); addEventListener("pointerup", end); addEventListener("pointercancel", end);
    event.preventDefault();
  });
}
const front = document.querySelector("#front .canvas > svg");
if (front) drag(front, front, (brush, box, from) => {
  all("#front .brush").forEach((other) => { if (other !== brush) other.remove(); });
  inside = new Set(all("#front a[data-network]").filter((link) => {
    const at = link.getBoundingClientRect(), x = at.left + at.width / 2 - from.left, y = at.top + at.height / 2 - from.top;
    return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
  }).map((link) => Number(link.dataset.network)));
  fade();
});
const parallel = document.querySelector("#parallel .canvas > svg");
all("#parallel .handle").forEach((handle) => drag(handle, parallel, (brush, box, from) => {
  const axis = Number(handle.dataset.axis), { best, worst, log } = data.axes[axis];
  all(`#parallel .brush[data-axis="${axis}"]`).forEach((other) => { if (other !== brush) other.remove(); });
  brush.dataset.axis = axis;
  brush.setAttribute("x", handle.getBoundingClientRect().left - from.left);
  brush.setAttribute("width", 24);
  const value = (y) => {
    const share = Math.min(1, Math.max(0, y / from.height));
    return log ? best * (worst / best) ** share : best + (worst - best) * share;
  };
  const ends = [value(box.y), value(box.y + box.height)].sort((a, b) => a - b);
  ranges.set(axis, [ends[0] - Math.abs(ends[0]) * 1e-9, ends[1] + Math.abs(ends[1]) * 1e-9]);
  all(`ol.axes input[data-axis="${axis}"]`).forEach((input) => { input.value = rounded(ends[input.dataset.end]); });
  fade();
}));
all("ol.axes input").forEach((input) => input.addEventListener("input", () => {
  const axis = Number(input.dataset.axis);
  const [low, high] = all(`ol.axes input[data-axis="${axis}"]`).map((one) => one.value);
  all(`#parallel .brush[data-axis="${axis}"]`).forEach((brush) => brush.remove());
  if (low === "" && high === "") ranges.delete(axis);
  else ranges.set(axis, [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)]);
  fade();
}));
