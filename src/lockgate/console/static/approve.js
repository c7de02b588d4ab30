// Asks an authenticator to sign exactly the statement on this page. Nothing else runs here.
"use strict";

const encoder = new TextEncoder();

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

const say = (text, bad) => {
  const place = document.querySelector("#said");
  place.textContent = text;
  place.className = bad ? "alarm" : "card";
};

// DSSE, "PAE": what every key signs. The challenge is its digest, computed here from the payload shown.
async function challengeFor(type, payload) {
  const head = encoder.encode(`DSSEv1 ${encoder.encode(type).length} ${type} ${payload.length} `);
  const message = new Uint8Array(head.length + payload.length);
  message.set(head);
  message.set(payload, head.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", message));
}

async function assertion(challenge, rpId, credentials) {
  const found = await navigator.credentials.get({
    publicKey: {
      challenge,
      rpId,
      allowCredentials: credentials.map((id) => ({ type: "public-key", id: toBytes(id) })),
      userVerification: "required",
      timeout: 120000,
    },
  });
  return {
    credential: toText(found.rawId),
    assertion: {
      authenticator_data: toText(found.response.authenticatorData),
      client_data: toText(found.response.clientDataJSON),
      signature: toText(found.response.signature),
    },
  };
}

async function post(address, value) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.code} ${body.error}`);
  return body;
}

async function sign(form) {
  const { type, payload, rp, credentials, address } = form.dataset;
  const challenge = await challengeFor(type, toBytes(payload));
  const made = await assertion(challenge, rp, credentials.split(" "));
  const done = await post(address, made);
  say(`${done.person} signed. The operator carries it out with the file ${done.file}.`);
}

async function enrol(form) {
  const person = form.querySelector("[name=person]").value.trim();
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      rp: { id: location.hostname, name: "Lockgate" },
      user: { id: crypto.getRandomValues(new Uint8Array(16)), name: person, displayName: person },
      pubKeyCredParams: [
        { type: "public-key", alg: -7 },
        { type: "public-key", alg: -8 },
      ],
      authenticatorSelection: { userVerification: "required", residentKey: "discouraged" },
      attestation: "none",
      timeout: 120000,
    },
  });
  const begun = await post("/enrol/card", {
    person,
    origin: location.origin,
    credential: toText(made.rawId),
    spki: toText(made.response.getPublicKey()),
  });
  const challenge = await challengeFor(begun.type, toBytes(begun.payload));
  const proof = await assertion(challenge, location.hostname, [toText(made.rawId)]);
  const done = await post("/enrol/finish", { payload: begun.payload, ...proof });
  say(`Key ${done.id.slice(0, 16)}, read aloud: ${done.words}`);
  const link = document.querySelector("#card");
  link.href = `data:application/json;base64,${btoa(done.card)}`;
  link.hidden = false;
}

document.querySelector("form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  (form.id === "enrol" ? enrol(form) : sign(form))
    .catch((error) => say(error.message, true))
    .finally(() => {
      button.disabled = false;
    });
});
