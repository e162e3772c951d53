// Small helps for who has scripts; every page works without. Nothing is loaded from elsewhere, nothing is kept but one switch.
"use strict";
(() => {
  const seconds = 3, key = "pause";
  const one = (selector) => document.querySelector(selector);
  const problems = one("#problems");
  if (problems) problems.focus();

  // Live parts: the server sends what changes of the page, piece by piece, and nothing else. A switch stops it (WCAG 2.2.2); so does
  // a page that nobody sees, and a field or row that is in use. What was missed comes when it goes on.
  const live = one("#live"), pulse = one("#pulse");
  if (live?.dataset.mark && pulse) {
    let source = null, mark = live.dataset.mark, over = false;
    const said = document.createElement("span"), button = document.createElement("button");
    const paused = () => sessionStorage.getItem(key) === "1";
    const busy = () => {
      const at = document.activeElement;
      return document.hidden || (live.contains(at) && at.matches("input, select, textarea")) || live.querySelector("input[type=checkbox]:checked");
    };
    const made = (html) => {
      const holder = document.createElement("template");
      holder.innerHTML = html;
      // What is sent is the same for everybody; forms have the token of this session.
      const token = one("header input[name=token]")?.value;
      for (const form of holder.content.querySelectorAll("form[method=post]")) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name: "token", value: token });
        form.prepend(field);
      }
      return holder.content.firstElementChild;
    };
    // From a place on so many go, and these come: texts are new, numbers are where one was.
    const splice = (parent, [from, count, pieces]) => {
      const old = [...parent.children], next = pieces.map((piece) => typeof piece === "number" ? old[piece] : made(piece));
      let place = old[from + count] ?? null;
      old.slice(from, from + count).filter((gone) => !next.includes(gone)).forEach((gone) => gone.remove());
      for (const piece of next.reverse()) {
        if (piece.nextElementSibling !== place || piece.parentNode !== parent) parent.insertBefore(piece, place);
        place = piece;
      }
    };
    const take = (change) => {
      const at = document.activeElement, link = live.contains(at) ? at.getAttribute("href") : null;
      if (change.all) live.replaceChildren(...change.all.map(made));
      if (change.regions) splice(live, change.regions);
      for (const [region, rows] of Object.entries(change.rows ?? {})) splice(live.children[region].querySelector("tbody"), rows);
      if (link && !live.contains(document.activeElement)) live.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
    };
    const stop = () => { source?.close(); source = null; };
    const end = (text) => { over = true; stop(); said.textContent = text; button.remove(); };
    const go = () => {
      if (source || over || paused() || busy()) return;
      source = new EventSource("/live?" + new URLSearchParams({ of: location.pathname + location.search, have: mark }));
      source.onmessage = (event) => {
        // The next time it begins with what is missed now.
        if (busy()) { stop(); return; }
        take(JSON.parse(event.data));
        mark = event.lastEventId;
      };
      source.addEventListener("beat", (event) => { said.textContent = `The same at ${event.data.slice(11)} UTC`; });
      source.addEventListener("again", stop);
      source.addEventListener("gone", () => end("What this page is about is not there any more."));
      source.addEventListener("out", () => end("You are signed out: load the page again."));
      // Refused for now: asked again with the next look.
      source.onerror = () => { if (source?.readyState === EventSource.CLOSED) source = null; };
    };
    const say = () => { button.textContent = paused() ? "Go on updating" : "Pause updating"; button.setAttribute("aria-pressed", String(paused())); };
    button.type = "button";
    button.addEventListener("click", () => { sessionStorage.setItem(key, paused() ? "0" : "1"); say(); paused() ? stop() : go(); });
    say();
    pulse.append(" ", said, " ", button);
    document.addEventListener("visibilitychange", () => document.hidden ? stop() : go());
    addEventListener("pagehide", stop);
    addEventListener("pageshow", go);
    setInterval(go, seconds * 1000);
    go();
  }

  // Keys, off in fields: / finds, g and a letter goes, j and k walk rows, Enter opens, ? tells.
  const places = { h: "/", c: "/send-connectors", q: "/queues", m: "/messages", t: "/topology", e: "/explain", s: "/servers" };
  let waits = false, at = -1;
  const rows = () => [...document.querySelectorAll("tbody tr")];
  const walk = (step) => {
    const all = rows();
    if (!all.length) return;
    all[at]?.classList.remove("here");
    at = Math.max(0, Math.min(all.length - 1, at + step));
    all[at].classList.add("here");
    all[at].scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    if (waits) { waits = false; if (places[event.key]) location.href = places[event.key]; return; }
    if (event.key === "/") { event.preventDefault(); one("#find")?.focus(); }
    else if (event.key === "g") { waits = true; setTimeout(() => { waits = false; }, 1000); }
    else if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "x") { const box = rows()[at]?.querySelector("input[type=checkbox]"); if (box) box.checked = !box.checked; }
    else if (event.key === "Enter" && at >= 0 && event.target === document.body) rows()[at]?.querySelector("a")?.click();
    else if (event.key === "?") alert("/ find · g h overview · g c connectors · g q queues · g m messages · g t topology · g e explain · g s servers · j k rows · x choose · Enter open");
  });
})();
