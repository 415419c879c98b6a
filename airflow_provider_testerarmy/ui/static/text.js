// The page's own words, in the language of Airflow's UI. Text of the service, of Airflow and of people stays as it is.
// Each language is one file of text/. A text names its values in braces; one that depends on a count has a text for
// each plural category of the language (https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html).

const LANGUAGES = ["en", "de"];
let texts = {};
let language = "en";

/** Loads the texts. Call it once, before anything is drawn. */
export async function loadTexts() {
  language = chosen();
  texts = await fetched(language);
  document.documentElement.lang = language;
}

/** A text. Throws for a key that the language lacks, so that no page shows a key in place of a sentence. */
export function say(key, values = {}) {
  return parts(key, values).join("");
}

/** Like say(), for texts with elements in them: an array of texts and the given nodes. */
export function parts(key, values = {}) {
  return wording(key, values).split(/(\{\w+\})/).filter(Boolean).map((part) => {
    const name = part.match(/^\{(\w+)\}$/)?.[1];
    if (name === undefined) return part;
    if (!(name in values)) throw new Error(`the text ${key} lacks ${name}`);
    return typeof values[name] === "number" ? number(values[name]) : values[name];
  });
}

/** A number as the language writes it. */
export function number(value, options = {}) {
  return value.toLocaleString(locale(), options);
}

/** The locale for dates and numbers: the browser's region, if it has the language of the page. */
export function locale() {
  return navigator.languages.find((one) => base(one) === language) || language;
}

/** Whether the language has this text, for words that come from the server. */
export function has(key) {
  return key in texts;
}

/** A notice of the server: the key of a text, perhaps with a value after a colon, or the words of an error. */
export function worded(notice) {
  const [key, ...value] = notice.split(":");
  return has(`notice.${key}`) ? say(`notice.${key}`, { value: value.join(":") }) : notice;
}

function wording(key, values) {
  const text = texts[key];
  if (typeof text === "string") return text;
  if (text === undefined) throw new Error(`no text ${key}`);
  return text[new Intl.PluralRules(language).select(values.count)] ?? text.other;
}

/** Airflow's UI keeps its language in local storage; without it, the browser's. */
function chosen() {
  let stored = "";
  try {
    stored = window.localStorage.getItem("i18nextLng") || "";
  } catch {
    stored = "";
  }
  const wanted = stored ? [stored] : navigator.languages;
  return wanted.map(base).find((one) => LANGUAGES.includes(one)) || "en";
}

function base(tag) {
  return tag.toLowerCase().split("-")[0];
}

async function fetched(name) {
  const response = await fetch(new URL(`text/${name}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no texts in ${name}: status ${response.status}`);
  return response.json();
}
