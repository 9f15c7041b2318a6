// Building elements. Text goes through textContent alone: names, labels and addresses may come from strangers.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value || "";
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  for (const child of children) node.append(child); // append makes text nodes of strings
  return node;
}

// set writes text only when it differs, so that a calm page stays calm for screen readers and layout alike.
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
