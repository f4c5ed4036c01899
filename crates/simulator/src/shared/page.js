const at = (id) => document.getElementById(id);

async function ask(operation, body) {
  const answer = await fetch("/sim/" + operation, {
    method: "POST", headers: { "content-type": "application/json; charset=utf-8" }, body: JSON.stringify(body || {}),
  });
  const value = await answer.json();
  if (!answer.ok) { at("mishaps").textContent = operation + ": " + value.error; throw new Error(value.error); }
  return value;
}

/* Everything from outside goes through here: text, never markup. */
function make(tag, text, kind) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = String(text);
  if (kind) node.className = kind;
  return node;
}
