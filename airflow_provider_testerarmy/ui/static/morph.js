// Drawing again without moving anything: what is on the page is changed only where the new drawing differs, so
// selection, focus, scroll and opened parts stay as the reader left them.

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

/** The next node that can become the wanted one; nodes with an id are found by it. */
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
    // Whether a part is open is the reader's choice.
    if (!wanted.hasAttribute(name) && name !== "style" && !(name === "open" && node.nodeName === "DETAILS")) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== "style" && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  // The page's policy forbids the attribute, not the property.
  if (node.style.cssText !== wanted.style.cssText) node.style.cssText = wanted.style.cssText;
  morph(node, wanted);
  if ((node.nodeName === "INPUT" || node.nodeName === "SELECT") && node.value !== wanted.value) node.value = wanted.value;
}
