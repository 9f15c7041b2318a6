// Keys for those who keep their hands on them, and the list of them.
import { el } from "./dom.js";

const list = [
  ["space", "stop and start the clock"],
  ["1 2 3 4", "the last minute, 5 min, 15 min, hour"],
  ["/", "filter connections"],
  ["← →", "move the crosshair of the chosen chart; Page, Home and End move it further"],
  ["shift ← →", "mark a stretch"],
  ["enter", "look at the marked stretch alone, or open a connection"],
  ["esc", "let go of the crosshair, close what is open"],
  ["tab", "walk through charts, legends, columns and rows"],
];

// listen hands keys to their actions, unless something is being typed; the dialog is opened by its button too.
export function keys(root, button, actions) {
  root.append(el("div", { class: "bar" }, el("h2", {}, "Keys"), el("span", { class: "grow" }),
    el("form", { method: "dialog" }, el("button", {}, "Close"))),
  el("dl", {}, ...list.flatMap(([key, does]) => [el("dt", {}, ...key.split(" ").flatMap((k) => [el("kbd", {}, k), " "])), el("dd", {}, does)])),
  el("p", { class: "note" }, "With the pointer: drag over a chart to look at a stretch, click a name in a legend to hide its line, click a column to sort."));
  const open = () => root.showModal();
  button.addEventListener("click", open);
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || root.open || /INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) return;
    const act = e.key === "?" ? open : actions[e.key];
    // On a button, space presses it.
    if (!act || (e.key === " " && e.target !== document.body && e.target.tagName !== "CANVAS")) return;
    e.preventDefault();
    act();
  });
}
