// The chat page. What a model says becomes text nodes, never markup; nothing is fetched but from this gateway.
const $ = (id) => document.getElementById(id);
const KEY = "lockgate-key";
const sources = document.querySelector('meta[name="lockgate-sources"]').content;

const doors = document.querySelector('meta[name="lockgate-doors"]').content.split(" ").filter(Boolean);
const PAGE = { "X-Lockgate-Page": "1" }; // what no form or link of another site can send

let signed = false; // in by a session, whose cookie no script sees
let key = sessionStorage.getItem(KEY) || "";
let said = []; // the talk as the API takes it
let running = null; // aborts the answer that runs

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

async function call(path, options = {}) {
  const proof = key && !signed && !path.startsWith("/chat/") ? { Authorization: `Bearer ${key}` } : PAGE;
  const headers = { ...proof, "Content-Type": "application/json" };
  const credentials = signed || path.startsWith("/chat/") ? "same-origin" : "omit";
  const answer = await fetch(path, { ...options, headers, redirect: "error", credentials });
  if (answer.ok) return answer;
  let what = `The gateway answered with status ${answer.status}.`;
  try {
    what = (await answer.json()).error.message;
  } catch { /* what is not of the API's shape is told by its status */ }
  const retry = answer.headers.get("Retry-After");
  throw new Error(retry ? `${what} Try again in ${retry} seconds.` : what);
}

// --- who asks, and what there is to ask ------------------------------------------------------

function options(select, groups) {
  select.replaceChildren();
  for (const [label, names] of groups) {
    const group = document.createElement("optgroup");
    group.label = label;
    for (const [value, text] of names) group.append(new Option(text, value));
    select.append(group);
  }
  select.parentElement.hidden = false;
}

function byLabel(entries) {
  const groups = new Map();
  for (const { label, value, text } of entries) groups.set(label, [...(groups.get(label) || []), [value, text]]);
  return [...groups].sort();
}

async function open() {
  const listed = (await (await call("/v1/models")).json()).data;
  const plain = listed.filter((each) => !each.id.includes("@"));
  const based = listed.filter((each) => each.id.includes("@"));
  const shown = plain.length ? plain : based;
  options($("model"), byLabel(shown.map((each) => {
    const name = each.id.split("@")[0];
    return { label: each.lockgate?.label || "model", value: name, text: name };
  })));
  const bases = [...new Set(based.map((each) => each.id.split("@")[1]))];
  $("knowledge").replaceChildren(new Option("none", ""), ...bases.map((name) => new Option(name, name)));
  $("knowledge").parentElement.hidden = false;
  if (bases.length) $("knowledge").value = bases[0];
  for (const id of ["who", "issuer", "sign", "enter"]) $(id).hidden = true;
  $("leave").textContent = signed ? "Sign out" : "Forget the key";
  for (const id of ["talk", "ask", "leave", "anew"]) $(id).hidden = false;
  $("words").focus();
}

$("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  trouble("");
  try {
    await open();
    sessionStorage.setItem(KEY, key);
    $("key").value = "";
  } catch (error) {
    trouble(error.message);
    $("key").focus();
  }
});

$("sign").addEventListener("submit", async (event) => {
  event.preventDefault();
  trouble("");
  const body = JSON.stringify({ name: $("name").value, password: $("password").value });
  $("password").value = "";
  try {
    await call("/chat/password", { method: "POST", body });
    signed = true;
    await open();
  } catch (error) {
    signed = false;
    trouble(error.message);
    $("password").focus();
  }
});

$("leave").addEventListener("click", async () => {
  if (signed) await call("/chat/sign-out", { method: "POST" });
  sessionStorage.removeItem(KEY);
  location.reload();
});

// --- the talk --------------------------------------------------------------------------------

function turn(who) {
  const article = document.createElement("article");
  const name = document.createElement("h2");
  const text = document.createElement("p");
  name.textContent = who;
  text.className = "said";
  article.append(name, text);
  $("talk").append(article);
  article.scrollIntoView({ block: "end" });
  return { article, text };
}

function note(article, text) {
  const line = document.createElement("p");
  line.className = "note";
  line.textContent = text;
  article.append(line);
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") return;
      yield JSON.parse(line.slice(6));
    }
  }
}

function marked(text, citations) {
  // Numbers in brackets that the gateway attached become buttons; every other bracket stays what it is.
  const known = new Map(citations.map((each) => [String(each.number), each]));
  const parts = [];
  for (const piece of text.split(/(\[\d+\])/)) {
    const found = /^\[(\d+)\]$/.exec(piece);
    parts.push(found && known.has(found[1]) ? cite(known.get(found[1]), found[1]) : document.createTextNode(piece));
  }
  return parts;
}

function cite(citation, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cite";
  button.textContent = text;
  button.setAttribute("aria-label", `Source ${citation.number}: ${citation.title}`);
  button.addEventListener("click", () => show(citation));
  return button;
}

function show(citation) {
  $("source-title").textContent = citation.title || citation.path;
  const page = citation.page ? `page ${citation.page}` : "";
  $("source-place").textContent = [citation.heading, page].filter(Boolean).join(", ");
  $("source-quote").textContent = citation.quote;
  const facts = [["Document", citation.path], ["SHA-256", citation.document_sha256], ["Read by", citation.extractor]];
  $("source-facts").replaceChildren(...facts.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  const link = $("source-open");
  link.hidden = !sources;
  if (sources) link.href = `${sources}/files/${citation.path.split("/").map(encodeURIComponent).join("/")}`;
  $("source").showModal();
}

async function ask(question) {
  trouble("");
  said.push({ role: "user", content: question });
  turn("You").text.textContent = question;
  const base = $("knowledge").value;
  const model = base ? `${$("model").value}@${base}` : $("model").value;
  const { article, text } = turn(model);
  article.classList.add("running");
  running = new AbortController();
  busy(true);
  let whole = "";
  let facts = null;
  try {
    const body = JSON.stringify({ model, messages: said, stream: true });
    const answer = await call("/v1/chat/completions", { method: "POST", body, signal: running.signal });
    for await (const event of events(answer.body)) {
      if (event.error) throw new Error(event.error.message);
      facts = event.lockgate || facts;
      const piece = event.choices?.[0]?.delta?.content || "";
      if (!piece) continue;
      whole += piece;
      text.append(document.createTextNode(piece));
      const main = document.querySelector("main");
      if (main.scrollHeight - main.scrollTop - main.clientHeight < 160) main.scrollTop = main.scrollHeight;
    }
    said.push({ role: "assistant", content: whole });
  } catch (error) {
    if (error.name === "AbortError") {
      note(article, "Stopped.");
      if (whole) said.push({ role: "assistant", content: whole });
      else said.pop();
    } else {
      said.pop();
      trouble(error.message);
    }
  } finally {
    running = null;
    busy(false);
    article.classList.remove("running");
  }
  if (facts) finish(article, text, whole, facts);
  $("words").focus();
}

function finish(article, text, whole, facts) {
  const citations = facts.citations || [];
  if (citations.length) {
    text.replaceChildren(...marked(whole, citations));
    const list = document.createElement("ul");
    list.className = "cites";
    for (const each of citations) {
      const item = document.createElement("li");
      item.append(cite(each, `${each.number} ${each.title || each.path}`));
      list.append(item);
    }
    article.append(list);
  }
  note(article, `Receipt ${facts.receipt}`);
}

function busy(yes) {
  $("send").hidden = yes;
  $("stop").hidden = !yes;
  $("anew").disabled = yes;
}

function anew() {
  if (running || $("ask").hidden) return;
  said = [];
  $("talk").replaceChildren();
  trouble("");
  $("words").focus();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("words").value.trim();
  if (!question || running) return;
  $("words").value = "";
  ask(question);
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("stop").addEventListener("click", () => running?.abort());
$("anew").addEventListener("click", anew);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && !$("source").open) running.abort();
  if (event.key.toLowerCase() === "n" && event.altKey) {
    event.preventDefault();
    anew();
  }
});

async function resume() {
  // Whoever signed in before, in this browser, is in again; whoever has a key in this tab goes by that.
  if (!key && doors.length) {
    signed = true;
    signed = Boolean((await (await call("/chat/session")).json()).name);
  }
  if (key || signed) await open();
}

$("issuer").hidden = !doors.includes("issuer");
$("sign").hidden = !doors.includes("password");
resume().catch((error) => {
  signed = false;
  sessionStorage.removeItem(KEY);
  trouble(error.message);
});
