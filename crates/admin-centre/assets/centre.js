// Small helps for who has scripts; every page works without. Nothing is loaded from elsewhere, nothing is kept but one switch.
"use strict";
(() => {
  const seconds = 5, key = "pause";
  const one = (selector) => document.querySelector(selector);
  const problems = one("#problems");
  if (problems) problems.focus();

  // Live parts: read again every few seconds, and only what changed is replaced. A switch stops it (WCAG 2.2.2).
  if (document.body.dataset.live && one("#pulse")) {
    let seen = "";
    const pulse = one("#pulse"), button = document.createElement("button");
    const paused = () => sessionStorage.getItem(key) === "1";
    const say = () => { button.textContent = paused() ? "Go on updating" : "Pause updating"; button.setAttribute("aria-pressed", String(paused())); };
    button.type = "button";
    button.addEventListener("click", () => { sessionStorage.setItem(key, paused() ? "0" : "1"); say(); });
    say();
    pulse.append(" ", button);
    const busy = () => {
      const live = one("#live"), at = document.activeElement;
      return document.hidden || (live.contains(at) && at.matches("input, select, textarea")) || live.querySelector("input[type=checkbox]:checked");
    };
    const read = async () => {
      if (paused() || busy()) return;
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html", "x-seen": seen }, redirect: "error" });
        // 204: it is still the same.
        if (answer.status !== 200) return;
        seen = answer.headers.get("x-live") ?? "";
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
        if (!fresh || busy()) return;
        const now = [...one("#live").children], next = [...fresh.children];
        if (now.length !== next.length) { one("#live").replaceChildren(...next); return; }
        now.forEach((old, at) => {
          if (old.outerHTML === next[at].outerHTML || old.contains(document.activeElement)) return;
          if (old.tagName === "DETAILS") return;
          old.replaceWith(next[at]);
        });
      } catch { /* the next time */ }
    };
    setInterval(read, seconds * 1000);
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
