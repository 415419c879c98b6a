// Updates the page in place: only nodes that differ change, so selection, focus, scroll position and opened parts
// stay as the viewer left them.

/** Make the children of `node` those of `fresh`. */
export function morph(node, fresh) {
  const named = new Map([...node.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = node.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? named.get(wanted.id) : unnamed(place, wanted);
    if (known && alike(known, wanted)) {
      if (known === place) place = place.nextSibling;
      else node.insertBefore(known, place);
      change(known, wanted);
    } else {
      node.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** The next node, if it can become the wanted one. Nodes with an id are matched by id instead. */
function unnamed(place, wanted) {
  return place && !place.id && alike(place, wanted) ? place : null;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName;
}

function change(node, wanted) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  node.listeners = wanted.listeners;
  for (const { name } of [...node.attributes]) {
    // The viewer decides which <details> are open.
    if (!wanted.hasAttribute(name) && name !== "style" && !(name === "open" && node.nodeName === "DETAILS")) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== "style" && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  // The content security policy (style-src 'self') blocks the style attribute, but not the style property.
  if (node.style.cssText !== wanted.style.cssText) node.style.cssText = wanted.style.cssText;
  morph(node, wanted);
  if ((node.nodeName === "INPUT" || node.nodeName === "SELECT") && node.value !== wanted.value) node.value = wanted.value;
}
