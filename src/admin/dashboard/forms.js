// What an operator asks for: sign-in, explanations, purges.

import * as api from "./api.js";
import { by, bytes, el, number } from "./show.js";

const said = (text, bad = false) => el("p", { className: bad ? "bad" : "", textContent: text });

const excuse = (error) => {
  const why = { 401: "This token is not known.", 403: `Not allowed: ${error.message}` };
  return said(why[error.status] ?? error.message, true);
};

/** Shows in `box` what a call leads to, or why it was refused. */
async function answer(box, call) {
  box.replaceChildren(said("…"));
  try {
    box.replaceChildren(...(await call()));
  } catch (error) {
    box.replaceChildren(excuse(error));
  }
}

function onSubmit(form, act) {
  by(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

// === sign-in ===

/** Has `enter` called with each token that is given. */
export function login(enter) {
  onSubmit("login", () => {
    const given = by("token").value.trim();
    by("token").value = "";
    enter(given);
  });
}

// === explain ===

export function explaining() {
  onSubmit("explain", () => explain(by("explain-url").value));
}

/** Explains a URL that stands somewhere else on the page. */
export function explainHere(url) {
  by("explain-url").value = url;
  by("explain-url").focus();
  by("explain-url").scrollIntoView({ block: "center" });
  explain(url);
}

const explain = (url) => answer(by("explained"), async () => {
  const fields = by("explain-fields").value.split("\n").filter((it) => it.trim());
  const told = await api.explain(url, fields);
  const { outcome, why, cache_status: field } = told.next;
  const mark = el("span", { className: `dot ${outcome}` });
  const next = el("p", {}, mark, " ", el("b", { textContent: outcome }), `: ${why}`);
  const parts = [next, el("p", {}, "Cache-Status: ", el("code", { textContent: field }))];
  parts.push(el("p", { className: "quiet" }, "Key: ", el("code", { textContent: told.key })));
  if (told.route) {
    const { hosts, path, action, target } = told.route;
    parts.push(el("p", { className: "quiet", textContent: `Route: ${hosts} ${path}, ${action} ${target}` }));
  }
  if (told.variants.length) parts.push(variants(told.variants));
  return parts;
});

function variants(all) {
  const head = ["Status", "Age", "TTL", "Hits", "Bytes", "Tags"];
  const shown = (it) => [
    `${it.status}${it.chosen ? " (chosen)" : ""}`, `${it.age} s`, `${it.ttl} s`, number(it.hits), bytes(it.bytes),
    it.tags.join(", "),
  ];
  const row = (tag, texts) => el("tr", {}, ...texts.map((text) => el(tag, { textContent: text })));
  const body = el("tbody", {}, ...all.map((it) => row("td", shown(it))));
  const table = el("table", {}, el("thead", {}, row("th", head)), body);
  const box = el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "What is stored" });
  box.append(table);
  return box;
}

// === purge ===

const KINDS = {
  url: ["URL", "http://shop.example/page"],
  tags: ["Tags, with spaces between", "product-17 front"],
  prefix: ["They begin with", "http://shop.example/images/"],
  host: ["Host", "shop.example"],
  pattern: ["Regular expression for host, path and query", "^shop\\.example/images/.*\\.jpg$"],
  all: ["", ""],
};

/** What may drop many is asked back about. */
const WIDE = ["prefix", "host", "pattern", "all"];

export function purging(objects) {
  const kind = by("purge-kind");
  const fit = () => {
    const [label, example] = KINDS[kind.value];
    by("purge-label").textContent = label;
    by("purge-value").placeholder = example;
    by("purge-value").required = kind.value !== "all";
    by("purge-value").hidden = by("purge-label").hidden = kind.value === "all";
    by("purge-query").hidden = by("purge-preview").hidden = kind.value !== "url";
    by("purged").replaceChildren();
  };
  kind.addEventListener("change", fit);
  fit();
  by("purge-preview").addEventListener("click", () => by("purge-value").reportValidity() && preview());
  onSubmit("purge", async () => {
    const sure = !WIDE.includes(kind.value) || (await isSure(objects()));
    if (sure) answer(by("purged"), purge);
  });
}

const value = () => by("purge-value").value.trim();

function wanted() {
  const kind = by("purge-kind").value;
  const what = { all: true, tags: value().split(/\s+/) }[kind] ?? value();
  const any = kind === "url" && by("purge-any").checked ? { any_query: true } : {};
  return { [kind]: what, soft: by("purge-soft").checked, ...any };
}

async function purge() {
  const { purged } = await api.purge(wanted());
  if (purged === null) return [said("Purged. Nobody has counted them: they are looked at as they are asked for.")];
  return [said(`Purged: ${number(purged)} ${purged === 1 ? "object" : "objects"}.`)];
}

/** What is stored of a URL, which is what its purge would drop. */
const preview = () => answer(by("purged"), async () => {
  const { variants: stored } = await api.explain(value());
  if (!stored.length) return [said("Nothing is stored for this URL.")];
  const size = bytes(stored.reduce((all, it) => all + it.bytes, 0));
  const objects = stored.length === 1 ? "1 object" : `${stored.length} objects`;
  const others = by("purge-any").checked ? ", and those with other queries" : "";
  return [said(`It would drop ${objects} of ${size}${others}.`), variants(stored)];
});

/** Asks back before a purge of many. */
function isSure(objects) {
  const dialog = by("sure");
  const kind = by("purge-kind").value;
  const what = kind === "all" ? "everything" : `all of ${value()}`;
  by("sure-text").textContent = `Purge ${what}? ${number(objects)} objects are stored altogether.`;
  dialog.returnValue = "";
  dialog.showModal();
  by("sure-no").onclick = () => dialog.close("no");
  by("sure-yes").onclick = () => dialog.close("yes");
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}
