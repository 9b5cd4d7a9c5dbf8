// The dashboard: signs in, then looks every two seconds while somebody can see it.

import * as api from "./api.js";
import { History, isMissed, matches, top } from "./figures.js";
import { explainHere, explaining, login, purging } from "./forms.js";
import {
  by, followPointer, howOf, ratioOf, showChart, showLog, showOrigins, showSites, showTiles, showTop,
} from "./show.js";

const EVERY_MS = 2000;
const POINTS = 91;
/** Of the sample, so many requests are kept for the tops, and so many are shown. */
const KEPT = 2000;
const SHOWN = 100;

let history = new History(POINTS);
let requests = [];
let last = 0;
let servers = null;
let timer = null;
let isPaused = false;

function begin() {
  login((given) => {
    api.token.set(given);
    look();
  });
  explaining();
  purging(() => history.last?.status.store.objects ?? 0);
  followPointer(draw);
  by("filter").addEventListener("input", drawLog);
  by("pause").addEventListener("click", pause);
  by("leave").addEventListener("click", leave);
  addEventListener("resize", draw);
  document.addEventListener("visibilitychange", () => !document.hidden && !isPaused && look());
  look();
}

/** Looks, shows what has changed, and looks again later. */
async function look() {
  clearTimeout(timer);
  try {
    const [status, origins, seen] = await Promise.all([api.status(), api.origins(), api.requests(last)]);
    take(status, origins, seen);
    open(true);
    by("notice").textContent = "";
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (error.status === 401 || error.status === 403) return refused(error);
    by("notice").textContent = error.message;
  }
  if (!isPaused && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

function take(status, origins, seen) {
  const time = performance.now();
  const began = history.last && status.uptime_seconds < history.last.status.uptime_seconds;
  requests = began ? [] : [...requests, ...seen.requests].slice(-KEPT);
  last = began ? 0 : seen.last;
  history.add(time, status);
  by("board").hidden = false;
  const period = servers && (time - servers.time) / 1000;
  showOrigins(origins, servers?.origins, period, setState);
  servers = { time, origins };
  draw();
  drawLog();
}

function draw() {
  if (!history.last) return;
  showTiles(history);
  showChart(history.rates(), POINTS);
  showSites(history);
  showTop("top", top(requests, 8), ratioOf, "#", explainHere);
  showTop("missed", top(requests.filter(isMissed), 8), howOf, "", explainHere);
}

function drawLog() {
  const filter = by("filter").value;
  const text = (it) => Object.values(it).join(" ").toLowerCase();
  const wanted = filter ? requests.filter((it) => matches(text(it), filter)) : requests;
  showLog(wanted.slice(-SHOWN), explainHere);
}

/** Sign-in is over, or wanted. */
function open(isOpen) {
  by("login").hidden = isOpen;
  by("board").hidden = !isOpen;
  by("pause").hidden = !isOpen;
  by("leave").hidden = !isOpen || !api.token.get();
}

function refused(error) {
  const had = api.token.get();
  api.token.forget();
  open(false);
  const lacking = "This token has not the scope `read`, without which there is nothing to see.";
  by("notice").textContent = !had ? "" : error.status === 403 ? lacking : "This token is not known.";
  by("token").focus();
}

function leave() {
  clearTimeout(timer);
  api.token.forget();
  history = new History(POINTS);
  [requests, last, servers] = [[], 0, null];
  drawLog();
  open(false);
  by("token").focus();
}

function pause() {
  isPaused = !isPaused;
  by("pause").setAttribute("aria-pressed", String(isPaused));
  by("pause").textContent = isPaused ? "Go on" : "Pause";
  clearTimeout(timer);
  if (!isPaused) look();
}

async function setState(origin, server, state) {
  const box = by("origins-said");
  try {
    const now = await api.adjust(origin, server, state);
    box.textContent = `${server} of ${origin}: ${now.standing}.`;
    look();
  } catch (error) {
    box.textContent = `${server} of ${origin} stays as it is: ${error.message}`;
  }
}

begin();
