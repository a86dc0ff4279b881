// What pages do beyond what a browser does by itself. Everything here makes something
// better that works without it. The attributes that ask for it are told in doc.go.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  // fragment asks for a part of a page. Where the session has ended, the page is loaded
  // anew, which leads to the sign-in.
  async function fragment(url, name, signal) {
    const answer = await fetch(url, { headers: { "Muster-Fragment": name }, signal, redirect: "follow" });
    if (answer.status === 401) {
      location.reload();
      return new Promise(() => {});
    }
    return { html: await answer.text(), ok: answer.ok };
  }

  const parse = (html) => document.createRange().createContextualFragment(html);

  // Times, told anew as they pass.
  const zone = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
  const short = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
  function ago(ms) {
    const future = ms < 0;
    const s = Math.abs(ms) / 1000;
    if (s < 45) return "just now";
    const [n, unit] = s < 5400 ? [Math.max(Math.round(s / 60), 1), "min"]
      : s < 129600 ? [Math.round(s / 3600), "h"]
      : s < 60 * 86400 ? [Math.round(s / 86400), "days"]
      : s < 700 * 86400 ? [Math.round(s / 86400 / 30.4), "months"]
      : [Math.round(s / 86400 / 365.25), "years"];
    return future ? `in ${n} ${unit}` : `${n} ${unit} ago`;
  }
  const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
  function tellTimes(within) {
    for (const t of within.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      t.title = `${zone.format(at)} (${t.dateTime})`;
      const today = at.toDateString() === new Date().toDateString();
      t.textContent = "ago" in t.dataset ? ago(Date.now() - at) : "clock" in t.dataset && today ? clock.format(at) : short.format(at);
    }
  }
  tellTimes(document);
  setInterval(() => tellTimes(document), 30000);

  // A part of the page is replaced by what its address says now.
  let loading = null;
  async function load(target, url) {
    loading?.abort();
    const mine = (loading = new AbortController());
    target.classList.add("waiting");
    target.setAttribute("aria-busy", "true");
    try {
      const { html } = await fragment(url, target.id, mine.signal);
      target.replaceChildren(parse(html));
      tellTimes(target);
      followAll();
      history.replaceState(null, "", url);
    } catch (e) {
      if (e.name === "AbortError") return; // a later one is under way
      location.assign(url);
    } finally {
      if (loading === mine) {
        target.classList.remove("waiting");
        target.removeAttribute("aria-busy");
      }
    }
  }

  // Forms that submit themselves while somebody types.
  function address(form) {
    const url = new URL(form.action, location.href);
    url.search = "";
    for (const [name, value] of new FormData(form)) if (value !== "") url.searchParams.append(name, value);
    return url;
  }
  for (const form of document.querySelectorAll("form[data-live]")) {
    const target = document.querySelector(form.dataset.live);
    let timer;
    const go = () => load(target, address(form));
    form.addEventListener("input", (e) => {
      clearTimeout(timer);
      if (!("late" in e.target.dataset)) timer = setTimeout(go, 160);
    });
    form.addEventListener("submit", (e) => {
      if (e.submitter?.hasAttribute("formaction")) return; // a button of another kind, such as export
      e.preventDefault();
      clearTimeout(timer);
      go();
    });
  }

  // A secret that stands behind # in the address goes into its field, and out of the history.
  for (const field of document.querySelectorAll("[data-hash]")) {
    if (location.hash.length < 2) continue;
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname + location.search);
  }

  // A form that goes on by itself.
  for (const form of document.querySelectorAll("form[data-submit]")) form.submit();

  // Dialogs: a page that is shown above this one.
  async function openDialog(url) {
    const { html } = await fragment(url, "dialog");
    const dialog = document.createElement("dialog");
    dialog.append(parse(html));
    const title = dialog.querySelector("h1, h2");
    if (title) {
      title.id = "dialog-title";
      dialog.setAttribute("aria-labelledby", title.id);
    }
    tellTimes(dialog);
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (e) => {
      if (e.target === dialog || e.target.closest("[data-close]")) {
        e.preventDefault();
        dialog.close();
      }
    });
    dialog.showModal();
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // over plain HTTP there is no clipboard but the old one
      const area = document.createElement("textarea");
      area.value = text;
      (button.closest("dialog") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.classList.add("copied");
    const was = button.getAttribute("aria-label");
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      button.classList.remove("copied");
      if (was) button.setAttribute("aria-label", was); else button.removeAttribute("aria-label");
    }, 1500);
  }

  document.addEventListener("click", (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    const on = e.target.closest("[data-copy], a[data-dialog], a[data-part], .sort");
    if (!on) return;
    if ("copy" in on.dataset) {
      copy(on);
    } else if ("dialog" in on.dataset) {
      e.preventDefault();
      openDialog(on.href).catch(() => location.assign(on.href));
    } else { // a link within a part that can be replaced: the next page, another order
      const part = on.closest("[data-replaced]");
      if (!part) return;
      e.preventDefault();
      load(part, on.href).then(() => { if ("part" in on.dataset) part.scrollIntoView({ block: "nearest" }); });
    }
  });

  // The colours, changed without loading the page anew.
  document.querySelector("form.theme")?.addEventListener("submit", (e) => {
    e.preventDefault();
    const theme = e.submitter.value;
    root.dataset.theme = theme;
    fetch(e.target.action, { method: "POST", body: new URLSearchParams({ theme }), redirect: "manual" });
    document.querySelector(theme === "dark" ? ".to-light" : ".to-dark")?.focus();
  });

  // What is followed: events of a stream, as HTML, into the element that asks for it.
  // data-insert says where: "replace" (what it has), "prepend" or "append"; with
  // data-most="200" the oldest are dropped. An event with a name goes to the element of
  // the page whose data-event is that name. data-hold names a button that holds it: what
  // comes meanwhile is shown when it is pressed again.
  function insert(into, html, how, most) {
    const part = parse(html);
    tellTimes(part);
    for (const el of part.children) el.classList.add("fresh");
    if (how === "prepend") into.prepend(part);
    else if (how === "append") into.append(part);
    else {
      const at = into.contains(document.activeElement) && document.activeElement.getAttribute("href");
      into.replaceChildren(part);
      if (at) [...into.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === at)?.focus();
    }
    while (most && into.children.length > most) (how === "prepend" ? into.lastElementChild : into.firstElementChild).remove();
  }
  const followed = new Map();
  function follow(el) {
    const source = new EventSource(el.dataset.stream);
    followed.set(el, source);
    let held = null;
    const tell = (state) => {
      for (const s of (el.closest(".card") ?? el).querySelectorAll("[data-stream-state]")) s.dataset.streamState = state;
    };
    const show = (into, html) => {
      const put = () => insert(into, html, into.dataset.insert ?? "replace", Number(into.dataset.most) || 0);
      if (held) held.push(put); else put();
      if (held && held.length > 1000) held.shift();
    };
    source.onopen = () => { if (!held) tell("open"); };
    source.onerror = () => { if (!held) tell("broken"); }; // it comes again by itself
    source.onmessage = (e) => show(el, e.data);
    for (const part of el.querySelectorAll("[data-event]")) {
      source.addEventListener(part.dataset.event, (e) => show(part, e.data));
    }
    source.addEventListener("ended", () => location.reload());
    const hold = el.dataset.hold && document.querySelector(el.dataset.hold);
    if (hold) hold.addEventListener("click", () => {
      const all = held;
      held = held ? null : [];
      hold.setAttribute("aria-pressed", String(held !== null));
      hold.querySelector("span").textContent = held ? "Go on" : "Pause";
      tell(held ? "paused" : source.readyState === EventSource.OPEN ? "open" : "broken");
      for (const put of all ?? []) put();
    });
  }
  // followAll follows what the page has, and no longer what it has no more.
  function followAll() {
    for (const [el, source] of followed) {
      if (el.isConnected) continue;
      source.close();
      followed.delete(el);
    }
    for (const el of document.querySelectorAll("[data-stream]")) if (!followed.has(el)) follow(el);
  }
  followAll();
  addEventListener("pagehide", () => { for (const source of followed.values()) source.close(); });

  // Keys. A letter counts only where nobody types.
  let leading = 0;
  const rows = () => [...document.querySelectorAll("#main [data-row] .row")];
  function step(by) {
    const all = rows();
    if (all.length === 0) return;
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)].focus();
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const typing = e.target.closest("input, textarea, select, [contenteditable]");
    if (typing) {
      if (e.key === "Escape" && typing.type === "search") typing.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (Date.now() - leading < 1500) {
      leading = 0;
      const link = [...document.querySelectorAll("#nav a[data-key]")].find((a) => a.dataset.key === e.key);
      if (link) {
        e.preventDefault();
        link.click();
      }
      return;
    }
    switch (e.key) {
      case "/": {
        const field = document.querySelector("#main input[type=search]") ?? document.querySelector(".find input");
        if (!field) return;
        e.preventDefault();
        field.focus();
        field.select();
        break;
      }
      case "?": {
        const help = document.querySelector(".keys-button");
        if (help) openDialog(help.href);
        break;
      }
      case "g": leading = Date.now(); break;
      case "j": step(1); break;
      case "k": step(-1); break;
    }
  });
})();
