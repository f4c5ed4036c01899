// The page. It keeps nothing that matters: everything shown comes from the gateway's log over one stream of events,
// and a message that was not taken yet waits in this browser until it was.
//
// Text from outside becomes text and never markup; the one exception is `html`, which the gateway renders itself.

const $ = (id) => document.getElementById(id);

/** Makes an element. Strings among the children become text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const INBOX = 'inbox';

let me = null; // who uses the page, and its limits
let here = null; // the conversation shown
let title = 'Switchboard';

// ---- Asking the gateway -------------------------------------------------------------------------------------------

/** Why a request failed, in words; `again` when trying again may help. */
class Trouble extends Error {
  constructor(text, status, after) {
    super(text);
    this.status = status;
    this.again = status === 0 || status === 408 || status === 429 || status >= 500;
    this.after = after;
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(75_000),
    });
  } catch {
    throw new Trouble('The gateway cannot be reached.', 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && path !== '/login') lockOut(answer.title);
  const after = Number(response.headers.get('retry-after')) * 1000 || undefined;
  throw new Trouble(answer.error ?? `The gateway answered ${response.status}.`, response.status, after);
}

/** A name for one message, so that sending it again says nothing twice. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// ---- What this browser keeps --------------------------------------------------------------------------------------

const kept = {
  key: (name) => `switchboard:${me.id}:${name}`,
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(this.key(name))) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      if (value === null || value.length === 0) localStorage.removeItem(this.key(name));
      else localStorage.setItem(this.key(name), JSON.stringify(value));
    } catch {
      // A browser that keeps nothing still shows everything.
    }
  },
};

// ---- Showing entries ----------------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dayAndClock = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

const sameDay = (a, b) => a.toDateString() === b.toDateString();

function moment(at) {
  const date = new Date(at);
  const text = sameDay(date, new Date()) ? clock.format(date) : dayAndClock.format(date);
  return el('time', { datetime: at, title: exact.format(date) }, text);
}

function until(deadline) {
  const date = new Date(deadline);
  if (date <= new Date()) return 'the time is over';
  return `waits until ${sameDay(date, new Date()) ? clock.format(date) : dayAndClock.format(date)}`;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function shownFiles(files, place) {
  if (!files?.length) return null;
  const chip = (file) => {
    const parts = [el('span', {}, file.name), el('small', {}, file.hash ? size(file.size) : `${size(file.size)}, not kept`)];
    if (!file.hash) return el('span', { class: 'chip' }, ...parts);
    return el('a', { href: `/c/${place}/files/${file.hash}`, download: file.name }, ...parts);
  };
  return el('ul', { class: 'chips', 'aria-label': 'Files' }, ...files.map((file) => el('li', {}, chip(file))));
}

function prose(html) {
  const element = el('div', { class: 'prose' });
  element.innerHTML = html;
  return element;
}

/** The inside of an entry. */
const shapes = {
  heard(entry, place) {
    const bubble = entry.text ? el('div', { class: 'bubble' }, entry.text) : null;
    const name = el('span', { class: entry.me ? 'visually-hidden' : '' }, entry.me ? 'You' : entry.name);
    return [el('div', { class: 'meta' }, name, moment(entry.at)), bubble, shownFiles(entry.files, place)];
  },
  said(entry, place) {
    const label = entry.label ? el('span', { class: 'label', 'data-testid': 'label' }, entry.label) : null;
    return [el('div', { class: 'meta' }, moment(entry.at), label), prose(entry.html), shownFiles(entry.files, place)];
  },
  note(entry, place) {
    return shapes.said({ ...entry, label: entry.label ?? 'only you see this' }, place);
  },
  card(entry, place) {
    return [card(entry, place)];
  },
};

/** One list of entries: the conversation, or what waits for the person. */
class Transcript {
  constructor(list, { onlyOpen = false } = {}) {
    this.list = list;
    this.onlyOpen = onlyOpen;
    this.clear('');
  }

  clear(place) {
    this.place = place;
    this.seen = new Set();
    this.byKey = new Map(); // an element by the key of the message, and of every message that it replaced
    this.cards = new Map(); // the card's newest entry, by element
    this.list.replaceChildren();
  }

  /** Shows an entry; says whether it was new. */
  add(entry) {
    if (this.seen.has(entry.id)) return false;
    this.seen.add(entry.id);
    const earlier = entry.amends ? this.byKey.get(entry.amends) : undefined;
    const item = earlier ?? el('li', { class: 'entry', 'data-testid': 'entry', 'data-id': entry.id });
    if (entry.key) this.byKey.set(entry.key, item);
    if (entry.amends) this.byKey.set(entry.amends, item);
    const focused = item.contains(document.activeElement);
    item.dataset.kind = entry.kind;
    if (entry.kind === 'heard') item.dataset.me = entry.me;
    item.replaceChildren(...(shapes[entry.kind] ?? shapes.said)(entry, this.place).filter(Boolean));
    if (entry.kind === 'card') this.cards.set(item, entry);
    if (focused) item.querySelector('[data-focus]')?.focus();
    if (!earlier && (!this.onlyOpen || synced || entry.state === 'open')) this.insert(item, entry.id);
    // Cards that were answered before the page was loaded are no longer waiting.
    if (earlier && this.onlyOpen && !synced && entry.state === 'closed') item.remove();
    return true;
  }

  /** Entries are in the order of their ids; one may arrive late. */
  insert(item, id) {
    let after = this.list.lastElementChild;
    while (after && after.dataset.id > id) after = after.previousElementSibling;
    if (after) after.after(item);
    else this.list.prepend(item);
  }

  get open() {
    return [...this.cards.values()].filter((entry) => entry.state === 'open');
  }
}

// ---- Cards --------------------------------------------------------------------------------------------------------

function card(entry, place) {
  const heading = `card-${place}-${entry.id}`;
  const open = entry.state === 'open';
  const state = open ? el('span', { class: 'state', 'data-deadline': entry.deadline }, until(entry.deadline)) : el('span', { class: 'state' }, 'closed');
  const code = entry.code ? el('span', { class: 'code', 'data-testid': 'code' }, entry.code) : null;
  const rows = entry.fields.map((field) => el('div', {}, el('dt', {}, field.label), el('dd', {}, field.value)));
  const body = [
    el('header', {}, ...[el('h3', { id: heading }, entry.title), code, state].filter(Boolean)),
    entry.text ? el('p', { class: 'asked' }, entry.text) : null,
    rows.length ? el('dl', { class: 'fields' }, ...rows) : null,
    shownFiles(entry.files, place),
    open && entry.progress ? el('p', { class: 'progress', 'data-testid': 'progress' }, entry.progress) : null,
    open ? answering(entry, place) : ending(entry),
  ];
  return el('article', { class: 'card', 'data-testid': 'card', 'data-state': entry.state, 'aria-labelledby': heading }, ...body.filter(Boolean));
}

function ending(entry) {
  return el('p', { class: 'ended', tabindex: '-1', 'data-focus': true, 'data-testid': 'how' }, entry.how);
}

/** A box that grows with its text. */
function box(attributes) {
  const area = el('textarea', { rows: '1', ...attributes });
  area.addEventListener('input', () => grow(area));
  return area;
}

function answering(entry, place) {
  const commented = entry.choices.filter((choice) => choice.comment);
  const comment = commented.length ? box({ 'data-testid': 'comment', placeholder: 'Optional' }) : null;
  const words = entry.free_text ? box({ 'data-testid': 'answer', placeholder: 'Your answer' }) : null;
  const outcome = el('p', { class: 'outcome', role: 'status', tabindex: '-1' });
  const form = el('form', { class: 'answer' });
  const controls = () => form.querySelectorAll('button, textarea, input, select');
  const idle = (text, bad) => {
    controls().forEach((control) => (control.disabled = false));
    outcome.textContent = text;
    outcome.dataset.bad = bad;
  };

  /** Sends an answer until it was taken, under one name. */
  const send = async (path, body) => {
    outcome.textContent = 'Sending…';
    // A disabled button loses the focus; it must not fall back to the top of the page.
    if (form.contains(document.activeElement)) outcome.focus();
    controls().forEach((control) => (control.disabled = true));
    outcome.dataset.bad = false;
    const request = { id: newId(), ticket: entry.ticket, ...body };
    for (let attempt = 0; form.isConnected; attempt += 1) {
      try {
        await call('POST', `/c/${place}/${path}`, request);
        outcome.textContent = 'Sent.';
        // The card is rewritten when the gateway has settled it; a refusal comes as a note, and the card stays open.
        setTimeout(() => form.isConnected && idle('', false), 8_000);
        return;
      } catch (trouble) {
        if (!trouble.again) return idle(trouble.message, true);
        outcome.textContent = `Not sent yet: ${trouble.message} Trying again.`;
        await pause(trouble.after ?? backOff(attempt));
      }
    }
  };

  form.addEventListener('submit', (event) => event.preventDefault());
  if (comment) {
    const names = commented.flatMap((choice, index) => [index ? ' or ' : '', el('b', {}, choice.label)]);
    form.append(el('label', {}, 'Comment, goes along with ', ...names, comment));
  }
  const filled = el('div', {});
  const press = (choice) => () => {
    if (choice.form?.length) return filling(choice, filled, (values) => send('press', { choice: choice.id, values }));
    return send('press', { choice: choice.id, comment: choice.comment ? comment.value.trim() || undefined : undefined });
  };
  const buttons = entry.choices.map((choice) => el('button', { type: 'button', class: choice.style, 'data-testid': `choice-${choice.id}`, onclick: press(choice) }, choice.label));
  if (buttons.length) form.append(el('div', { class: 'buttons' }, ...buttons), filled);
  if (words) {
    const style = buttons.length ? 'plain' : 'primary';
    const button = el('button', { type: 'submit', class: style, 'data-testid': 'answer-send' }, 'Send');
    form.append(el('div', { class: 'own' }, el('label', {}, buttons.length ? 'Or answer in your own words' : 'Your answer', words), button));
    form.addEventListener('submit', () => (words.value.trim() ? send('say', { text: words.value.trim() }) : words.focus()));
  }
  form.append(outcome);
  return form;
}

/** What a choice asks for before it is pressed: a line for each, with what stands there now. */
function filling(choice, place, send) {
  if (place.dataset.choice === choice.id) return closeForm(place);
  const controls = choice.form.map(control);
  const values = () => Object.fromEntries(controls.map((one) => [one.id, one.value()]));
  const go = el('button', { type: 'button', class: 'primary', 'data-testid': `send-${choice.id}`, onclick: () => send(values()) }, choice.label.replace(/…$/, ''));
  const no = el('button', { type: 'button', class: 'plain', onclick: () => closeForm(place) }, 'Cancel');
  place.dataset.choice = choice.id;
  place.className = 'filling';
  place.replaceChildren(...controls.map((one) => one.shown), el('div', { class: 'buttons' }, go, no));
  place.querySelectorAll('textarea').forEach(grow);
  place.querySelector('textarea, input, select').focus();
}

/** A line of a form as an element that fits what it takes, and how to read it. Nothing is refused here: the gateway judges. */
function control(line) {
  const name = `line-${newId()}`;
  const label = line.required ? `${line.label} (needed)` : line.label;
  const hint = line.hint ? el('small', { id: `${name}-hint`, class: 'hint' }, line.hint) : null;
  const shared = { 'data-testid': `input-${line.id}`, 'aria-required': line.required || null, 'aria-describedby': hint && hint.id };
  const standing = line.value.split('\n');
  const day = /^(\d{4}-\d\d-\d\d)?$/;

  const group = (type, choices) => {
    const boxes = choices.map((choice) => {
      const input = el('input', { type, name, value: choice.value, 'data-testid': `input-${line.id}-${choice.value}` });
      input.checked = standing.includes(choice.value);
      return input;
    });
    const options = boxes.map((input, n) => el('label', { class: 'option' }, input, el('span', {}, choices[n].label)));
    const shown = el('fieldset', type === 'radio' ? { ...shared, role: 'radiogroup' } : { ...shared, 'aria-required': null }, el('legend', {}, label), hint, ...options);
    return { id: line.id, shown, value: () => boxes.filter((input) => input.checked).map((input) => input.value).join('\n') };
  };
  const written = (input) => {
    input.value = line.value;
    // A browser shows line breaks in its own way; what nobody changed goes back as it came.
    const first = input.value;
    return { id: line.id, shown: el('label', {}, label, hint, input), value: () => (input.value === first ? line.value : input.value) };
  };

  if (line.kind === 'yes_no') return group('radio', [{ label: 'yes', value: 'yes' }, { label: 'no', value: 'no' }]);
  if (line.kind === 'several') return group('checkbox', line.choices);
  if (line.kind === 'one' && line.choices.length <= 6) return group('radio', line.choices);
  if (line.kind === 'one') {
    const options = [el('option', { value: '' }, ''), ...line.choices.map((choice) => el('option', { value: choice.value }, choice.label))];
    return written(el('select', shared, ...options));
  }
  if (line.kind === 'date' && day.test(line.value)) return written(el('input', { ...shared, type: 'date' }));
  if (line.kind === 'number') return written(el('input', { ...shared, type: 'text', inputmode: 'decimal', autocomplete: 'off' }));
  return written(box(line.kind === 'lines' ? { ...shared, rows: '4' } : shared));
}

function closeForm(place) {
  delete place.dataset.choice;
  place.className = '';
  place.replaceChildren();
}

// ---- Messages on their way ----------------------------------------------------------------------------------------

/** Messages of this conversation that the gateway has not shown back yet, oldest first. */
let pending = [];
let sending = false;
let retry = null; // the wait before the next attempt

function keepPending() {
  // Files are too large to keep; such a message lives as long as the page (see `beforeunload`).
  const plain = pending.filter((message) => !message.taken && !message.files.length);
  kept.set(`pending:${here}`, plain.map(({ id, text }) => ({ id, text })));
}

function enqueue(text, files) {
  pending.push(shownPending({ id: newId(), text, files }));
  keepPending();
  follow(true);
  void flush();
}

function shownPending(message) {
  const names = message.files.length ? el('ul', { class: 'chips' }, ...message.files.map((file) => el('li', { class: 'chip' }, file.name))) : null;
  message.line = el('div', { class: 'meta', role: 'status' }, 'Sending…');
  message.item = el('li', { class: 'entry pending', 'data-testid': 'pending', 'data-kind': 'heard' });
  message.item.append(...[message.text ? el('div', { class: 'bubble' }, message.text) : null, names, message.line].filter(Boolean));
  $('pending').append(message.item);
  showEmpty();
  return message;
}

/** Sends the messages in their order, one at a time. */
async function flush() {
  if (sending) return;
  sending = true;
  const place = here;
  for (let attempt = 0; place === here; ) {
    const message = pending.find((one) => !one.taken && !one.refused);
    if (!message) break;
    try {
      message.item.dataset.failed = false;
      message.line.replaceChildren('Sending…');
      await call('POST', `/c/${place}/say`, { id: message.id, text: message.text, files: message.files.map(({ name, kind, data }) => ({ name, kind, data })) });
      attempt = 0;
      if (place === here) taken(message);
      else kept.set(`pending:${place}`, kept.get(`pending:${place}`, []).filter((one) => one.id !== message.id));
    } catch (trouble) {
      if (place !== here) break;
      failed(message, trouble);
      if (trouble.status === 401) break;
      if (trouble.again) {
        const wait = trouble.after ?? backOff(attempt);
        attempt += 1;
        await pause(wait, (wake) => (retry = wake));
      }
    }
  }
  sending = false;
  if (place !== here) void flush();
}

/** The gateway has the message; what it shows is the entry of its own, which replaces this one. */
function taken(message) {
  message.taken = true;
  message.line.replaceChildren();
  keepPending();
  remember(message.text || message.files[0]?.name || '');
  if (message.echoed) forget(message);
  else setTimeout(() => forget(message), 6_000);
}

function failed(message, trouble) {
  message.item.dataset.failed = true;
  message.refused = !trouble.again;
  const words = el('span', { class: 'failure' }, `${trouble.again ? 'Not sent yet' : 'Not sent'}: ${trouble.message}`);
  const now = el('button', { type: 'button', class: 'link', onclick: () => retryNow() }, 'Try now');
  const edit = el('button', { type: 'button', class: 'link', onclick: () => takeBack(message) }, 'Edit');
  const drop = el('button', { type: 'button', class: 'link', onclick: () => forget(message) }, 'Discard');
  message.line.replaceChildren(words, ...(trouble.again ? [now] : [edit, drop]));
  follow();
}

function retryNow() {
  retry?.();
  void flush();
}

function takeBack(message) {
  $('text').value = [message.text, $('text').value].filter(Boolean).join('\n');
  chosen.push(...message.files);
  forget(message);
  showChosen();
  drafted();
  $('text').focus();
}

function forget(message) {
  message.item.remove();
  pending = pending.filter((one) => one !== message);
  keepPending();
  showEmpty();
}

const squeezed = (text) => text.replace(/\s+/g, ' ').trim();

/** An entry of one's own arrived: the message that it came from is shown no longer. */
function echo(entry) {
  const message = pending.find((one) => !one.echoed && squeezed(one.text) === squeezed(entry.text));
  if (!message) return;
  message.echoed = true;
  if (message.taken) forget(message);
  else message.item.hidden = true;
}

const pause = (wait, wake) => new Promise((done) => {
  const timer = setTimeout(done, wait);
  wake?.(() => (clearTimeout(timer), done()));
});

/** Longer and longer, and never quite the same, up to ten seconds. */
const backOff = (attempt) => Math.min(10_000, 500 * 2 ** Math.min(attempt, 6)) * (0.7 + 0.6 * Math.random());

// ---- The stream ---------------------------------------------------------------------------------------------------

let source = null;
let mark = ''; // how far this page has come
let synced = false;
let losses = 0;
let watchdog = null;
let reconnecting = null;

function connect() {
  disconnect();
  if (!here || !me) return;
  const place = here;
  source = new EventSource(`/c/${place}/events${mark ? `?after=${encodeURIComponent(mark)}` : ''}`);
  const on = (name, act) => source.addEventListener(name, (event) => {
    if (place !== here) return;
    mark = event.lastEventId || mark;
    alive();
    act(JSON.parse(event.data));
  });
  on('entry', (entry) => arrived(entry));
  on('inbox', (entry) => waits(entry));
  on('typing', ({ on }) => typing(on));
  on('beat', (beat) => typing(beat.typing));
  on('synced', () => complete());
  on('trouble', ({ text }) => say(text ? 'down' : 'up', text ?? 'Connected'));
  source.onerror = () => place === here && lost();
  alive();
}

function disconnect() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  clearTimeout(reconnecting);
}

/** A sign of life came; without another one soon the connection is believed to be dead. */
function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, 35_000);
}

function lost() {
  disconnect();
  typing(false);
  say('down', 'Connection lost. Trying again…');
  reconnecting = setTimeout(async () => {
    try {
      await call('GET', '/me');
      connect();
    } catch (trouble) {
      if (trouble.status !== 401) lost();
    }
  }, backOff(losses));
  losses += 1;
}

function complete() {
  losses = 0;
  synced = true;
  say('up', 'Connected');
  $('log').setAttribute('aria-live', 'polite');
  showEmpty();
  showWaiting();
  follow(true);
  retryNow();
}

function say(state, text) {
  if ($('status').dataset.state === state && $('status').textContent === text) return;
  $('status').dataset.state = state;
  $('status').textContent = text;
}

let typingEnds = null;

function typing(on) {
  clearTimeout(typingEnds);
  if (on) typingEnds = setTimeout(() => typing(false), 25_000);
  if ($('typing').hidden === !on) return;
  $('typing').hidden = !on;
  follow();
}

// ---- The conversation ---------------------------------------------------------------------------------------------

const log = new Transcript($('log'));
const waiting = new Transcript($('waiting-list'), { onlyOpen: true });

function arrived(entry) {
  const near = isNear();
  if (!log.add(entry)) return;
  if (entry.kind === 'heard' && entry.me) {
    if (synced) echo(entry);
    remember(entry.text, entry.at);
  } else if (synced) {
    typing(false);
  }
  showEmpty();
  if (here === INBOX) showWaiting();
  if (!synced) return;
  if (near || (entry.kind === 'heard' && entry.me)) follow(true);
  else if (!entry.amends) $('latest').hidden = false;
}

function waits(entry) {
  if (waiting.add(entry) && synced) showWaiting();
}

function showWaiting() {
  const count = (here === INBOX ? log : waiting).open.length;
  $('waiting').hidden = here === INBOX || $('waiting-list').childElementCount === 0;
  for (const id of ['inbox-count', 'menu-count']) {
    $(id).hidden = count === 0;
    $(id).textContent = count;
  }
  $('inbox-link').setAttribute('aria-label', count ? `Waiting for you, ${count} open` : 'Waiting for you');
  document.title = count ? `(${count}) ${title}` : title;
  $('above').textContent = count === 1 ? '1 question waits for you' : `${count} questions wait for you`;
  showAbove();
}

/** Says that something waits while it is scrolled out of view. */
function showAbove() {
  const out = $('waiting').getBoundingClientRect().bottom < $('scroll').getBoundingClientRect().top;
  $('above').hidden = $('waiting').hidden || waiting.open.length === 0 || !out;
}

function showEmpty() {
  const bare = synced && log.seen.size === 0 && pending.length === 0;
  $('empty').hidden = !bare;
  $('empty-title').textContent = here === INBOX ? 'Nothing waits for you' : 'What shall be done?';
  $('empty-text').textContent = here === INBOX ? 'What agents ask you, wherever they work, appears here.' : 'Write below, or start with one of these.';
  $('examples').hidden = here === INBOX;
}

const isNear = () => $('scroll').scrollHeight - $('scroll').scrollTop - $('scroll').clientHeight < 140;

/** Keeps the newest in view, unless the reader has scrolled away. */
function follow(always) {
  if (!always && !isNear()) return;
  $('scroll').scrollTop = $('scroll').scrollHeight;
  $('latest').hidden = true;
}

/** Notes a conversation of this browser under its first words. */
function remember(text, at) {
  if (here === INBOX) return;
  const all = kept.get('recent', []);
  const known = all.find((one) => one.id === here);
  const when = at ? Date.parse(at) : Date.now();
  if (known) known.at = Math.max(known.at, when);
  else all.push({ id: here, text: squeezed(text).slice(0, 80), at: when });
  kept.set('recent', all.sort((a, b) => b.at - a.at).slice(0, 60));
  showRecent();
}

function showRecent() {
  const all = kept.get('recent', []);
  $('recent-title').hidden = all.length === 0;
  $('recent').replaceChildren(...all.map(({ id, text }) => el('li', {}, el('a', { href: `/c/${id}`, 'data-conversation': id, 'aria-current': id === here ? 'page' : false }, el('span', {}, text || 'Conversation')))));
  if (here === INBOX) $('inbox-link').setAttribute('aria-current', 'page');
  else $('inbox-link').removeAttribute('aria-current');
}

/** Shows a conversation from its beginning. */
function open(id, push) {
  here = id;
  mark = '';
  synced = false;
  losses = 0;
  retry?.();
  if (push) history.pushState(null, '', `/c/${id}`);
  log.clear(id);
  waiting.clear(INBOX);
  $('log').setAttribute('aria-live', 'off');
  $('pending').replaceChildren();
  $('latest').hidden = true;
  typing(false);
  $('composer').hidden = id === INBOX;
  $('text').value = kept.get(`draft:${id}`, '');
  chosen = [];
  showChosen();
  grow($('text'));
  pending = kept.get(`pending:${id}`, []).map((message) => shownPending({ ...message, files: [] }));
  showEmpty();
  showRecent();
  closeMenu();
  say('connecting', 'Connecting…');
  connect();
}

/** Starts a conversation; the gateway names it. */
async function begin(push) {
  try {
    const { id } = await call('POST', '/conversations', {});
    if (!push) history.replaceState(null, '', `/c/${id}`);
    open(id, push);
    if (matchMedia('(pointer: fine)').matches) $('text').focus();
  } catch (trouble) {
    if (trouble.status === 401) return;
    say('down', trouble.message);
    await pause(trouble.after ?? backOff(3));
    if (!here) await begin(push);
  }
}

function conversationOf(path) {
  return path.match(/^\/c\/([a-z2-7]{26}|inbox)$/)?.[1];
}

// ---- Writing ------------------------------------------------------------------------------------------------------

let chosen = []; // files to go with the message

function grow(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

function drafted() {
  grow($('text'));
  kept.set(`draft:${here}`, $('text').value);
}

function complain(text) {
  $('trouble').hidden = !text;
  $('trouble').textContent = text ?? '';
}

function submit() {
  const text = $('text').value.trim();
  if ((!text && chosen.length === 0) || !here) return;
  if (new TextEncoder().encode(text).length > me.text_bytes_max) return complain(`The message is too long. At most ${size(me.text_bytes_max)} fit.`);
  complain(null);
  enqueue(text, chosen);
  chosen = [];
  $('text').value = '';
  drafted();
  showChosen();
}

async function choose(files) {
  complain(null);
  for (const file of files) {
    if (chosen.length >= me.files_max) return complain(`A message may carry ${me.files_max} files.`);
    if (file.size > me.file_bytes_max) {
      complain(`${file.name} is larger than ${size(me.file_bytes_max)}.`);
      continue;
    }
    const url = await new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.onerror = () => done('');
      reader.readAsDataURL(file);
    });
    if (!url && file.size) complain(`${file.name} cannot be read.`);
    else chosen.push({ name: file.name, kind: file.type, size: file.size, data: url.slice(url.indexOf(',') + 1) });
    showChosen();
  }
}

function showChosen() {
  $('files').hidden = chosen.length === 0;
  $('files').replaceChildren(...chosen.map((file) => {
    const drop = () => {
      chosen = chosen.filter((one) => one !== file);
      showChosen();
      $('attach').focus();
    };
    const button = el('button', { type: 'button', 'aria-label': `Remove ${file.name}`, onclick: drop }, '×');
    return el('li', { class: 'chip' }, el('span', {}, file.name), el('small', {}, size(file.size)), button);
  }));
}

// ---- Who it is ----------------------------------------------------------------------------------------------------

async function arrive() {
  try {
    me = await call('GET', '/me');
  } catch (trouble) {
    if (trouble.status === 401) return;
    $('app').hidden = false;
    say('down', trouble.message);
    await pause(backOff(losses++));
    return arrive();
  }
  title = me.title;
  $('title').textContent = title;
  $('who').textContent = me.login ? me.name : '';
  $('logout').hidden = !me.login;
  $('attach').hidden = me.files_max === 0;
  $('examples').replaceChildren(...me.examples.map((text) => el('li', {}, el('button', { type: 'button', 'data-testid': 'example', onclick: () => enqueue(text, []) }, text))));
  $('door').hidden = true;
  $('app').hidden = false;
  const id = conversationOf(location.pathname);
  if (id) open(id, false);
  else await begin(false);
}

function lockOut(name) {
  disconnect();
  me = null;
  here = null;
  $('app').hidden = true;
  $('door').hidden = false;
  $('door-title').textContent = name ?? title;
  document.title = name ?? title;
  $('token').focus();
}

// ---- Hands --------------------------------------------------------------------------------------------------------

function openMenu() {
  $('side').dataset.open = '';
  $('veil').hidden = false;
  $('menu').setAttribute('aria-expanded', 'true');
  $('new').focus();
}

function closeMenu() {
  if (!('open' in $('side').dataset)) return;
  delete $('side').dataset.open;
  $('veil').hidden = true;
  $('menu').setAttribute('aria-expanded', 'false');
  $('menu').focus();
}

$('menu').addEventListener('click', () => ('open' in $('side').dataset ? closeMenu() : openMenu()));
$('veil').addEventListener('click', closeMenu);
$('new').addEventListener('click', () => void begin(true));
$('side').addEventListener('click', (event) => {
  const link = event.target.closest('a');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(conversationOf(new URL(link.href).pathname), true);
});
$('latest').addEventListener('click', () => follow(true));
$('above').addEventListener('click', () => {
  $('scroll').scrollTop = 0;
  $('waiting').focus();
});
$('scroll').addEventListener('scroll', () => {
  if (isNear()) $('latest').hidden = true;
  showAbove();
}, { passive: true });
$('composer').addEventListener('submit', (event) => (event.preventDefault(), submit()));
$('text').addEventListener('input', drafted);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
$('text').addEventListener('paste', (event) => {
  if (!event.clipboardData.files.length || me.files_max === 0) return;
  event.preventDefault();
  void choose(event.clipboardData.files);
});
$('attach').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  void choose([...$('file').files]);
  $('file').value = '';
  $('text').focus();
});
$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  $('login-trouble').hidden = true;
  try {
    await call('POST', '/login', { token: $('token').value });
    $('token').value = '';
    await arrive();
  } catch (trouble) {
    $('login-trouble').hidden = false;
    $('login-trouble').textContent = trouble.message;
    $('token').select();
  }
});
$('logout').addEventListener('click', async () => {
  await call('POST', '/logout', {}).catch(() => {});
  lockOut();
});
document.addEventListener('keydown', (event) => event.key === 'Escape' && closeMenu());
addEventListener('popstate', () => {
  const id = conversationOf(location.pathname);
  if (me && id) open(id, false);
});
addEventListener('online', () => $('status').dataset.state === 'down' && me && connect());
addEventListener('pagehide', disconnect);
addEventListener('pageshow', (event) => event.persisted && connect());
addEventListener('beforeunload', (event) => {
  if (pending.some((message) => !message.taken && message.files.length)) event.preventDefault();
});
// Browsers allow few connections to one server: a page that nobody looks at gives its own back, and looks once a minute.
let glance = null;
document.addEventListener('visibilitychange', () => {
  clearInterval(glance);
  if (!document.hidden) {
    if (me && !source) connect();
    return;
  }
  let minutes = 0;
  glance = setInterval(() => {
    minutes += 1;
    if (!me) return;
    if (minutes >= 2) {
      connect();
      setTimeout(() => document.hidden && disconnect(), 3_000);
    }
  }, 60_000);
});
setInterval(() => {
  for (const state of document.querySelectorAll('[data-deadline]')) state.textContent = until(state.dataset.deadline);
}, 20_000);

void arrive();
