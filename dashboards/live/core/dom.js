/**
 * Builds the page: `h` describes an element, `render` makes what is there like what is described.
 *
 * Text only ever becomes a text node: nothing that the server or a person says can be markup. Elements stay the same
 * ones while their tag and key stay, so focus, selection and scrolling survive an update.
 *
 * Besides attributes: `on: {click}`, `key`, `value` and `checked` (set only where they differ, so that typing is not
 * disturbed), `attach: (element) => detach` for what draws by itself.
 */

const SVG = "http://www.w3.org/2000/svg";
const OF_SVG = new Set(["svg", "path", "circle", "rect", "line", "polygon", "polyline", "g"]);
const PROPERTIES = new Set(["value", "checked", "indeterminate"]);
const OWN = new Set(["on", "key", "attach"]);

/** One element, described. Children may be nested lists; null, undefined and false are left out. */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, key: props?.key, children: flat(children) };
}

function flat(children) {
  const shown = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return shown.map((child) => (typeof child === "object" ? child : { text: String(child) }));
}

/** Make the children of `parent` like `children`. */
export function render(parent, ...children) {
  patchChildren(parent, flat(children));
}

function patchChildren(parent, wanted) {
  const keys = new Set(wanted.map((one) => one.key));
  const keyed = new Map();
  const loose = [];
  for (const node of [...parent.childNodes]) {
    const key = node.described?.key;
    if (key === undefined) loose.push(node);
    else if (keys.has(key)) keyed.set(key, node);
    else remove(node); // first: what stays behind it need not move, for that would cost it the focus
  }
  let place = parent.firstChild;
  for (const one of wanted) {
    const old = one.key === undefined ? loose.shift() : take(keyed, one.key);
    const node = old && fits(old, one) ? patch(old, one) : make(one);
    if (old && old !== node) {
      if (old === place) place = place.nextSibling;
      remove(old);
    }
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    attach(node, one);
  }
  for (const node of loose) remove(node);
}

function take(keyed, key) {
  const node = keyed.get(key);
  keyed.delete(key);
  return node;
}

function fits(node, one) {
  if (one.text !== undefined) return node.nodeType === Node.TEXT_NODE;
  return node.described?.tag === one.tag;
}

function make(one) {
  if (one.text !== undefined) return document.createTextNode(one.text);
  const element = OF_SVG.has(one.tag) ? document.createElementNS(SVG, one.tag) : document.createElement(one.tag);
  return patch(element, one);
}

function patch(node, one) {
  if (one.text !== undefined) {
    if (node.data !== one.text) node.data = one.text;
    return node;
  }
  const before = node.described?.props ?? {};
  for (const name of Object.keys(before)) if (!(name in one.props)) set(node, name, undefined);
  if (!one.props.attach) patchChildren(node, one.children);
  // After the children: the value of a select names one of them.
  for (const [name, value] of Object.entries(one.props))
    if (before[name] !== value || PROPERTIES.has(name)) {
      set(node, name, value);
    }
  listen(node, one.props.on ?? {});
  node.described = { tag: one.tag, key: one.key, props: one.props };
  return node;
}

function set(node, name, value) {
  if (OWN.has(name)) return;
  if (PROPERTIES.has(name)) {
    if (node[name] !== (value ?? "")) node[name] = value ?? "";
  } else if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

function listen(node, wanted) {
  node.listening ??= {};
  for (const name of Object.keys(wanted)) {
    if (!(name in node.listening)) node.addEventListener(name, (event) => node.listening[name]?.(event));
  }
  for (const name of Object.keys(node.listening)) node.listening[name] = wanted[name];
  Object.assign(node.listening, wanted);
}

function attach(node, one) {
  if (!one.props?.attach || node.detach) return;
  node.detach = () => {};
  try {
    node.detach = one.props.attach(node) ?? node.detach;
  } catch (error) {
    reportError(error); // what comes after it is drawn all the same: the emergency stop
  }
}

function remove(node) {
  for (const below of node.querySelectorAll?.("*") ?? []) below.detach?.();
  node.detach?.();
  node.remove();
}
