"use strict";
// Point at a mark, tap it, or walk from mark to mark with the arrow keys: what it is is shown and
// read aloud. On a live page, sections that changed are put in place of the old ones.
(() => {
  const tip = document.getElementById("tip");
  let known = JSON.parse(document.getElementById("points").textContent);

  const say = (mark) => {
    if (mark.dataset.tip) return mark.dataset.tip;
    const point = known.points[+mark.dataset.c];
    if (!point) return "";
    const parents = point.p.map((i) => `parent: ${known.points[i].s}, ${known.points[i].g}`);
    return [
      `${known.metric} ${point.s}`,
      point.g,
      `generation ${point.n}${point.o ? `, made by ${point.o}` : ""}${point.w ? `, ${point.w} parameters` : ""}`,
      ...parents,
    ].join("\n");
  };

  const unmark = () => {
    document.querySelectorAll(".hot, .kin").forEach((e) => e.classList.remove("hot", "kin"));
  };

  const hide = () => {
    tip.hidden = true;
    unmark();
  };

  const show = (mark) => {
    unmark();
    const text = say(mark);
    if (!text) return hide();
    tip.textContent = text;
    tip.hidden = false;
    mark.classList.add("hot");
    if (mark.dataset.c) {
      const own = +mark.dataset.c;
      const kin = known.points[own].p.slice();
      known.points.forEach((point, i) => point.p.includes(own) && kin.push(i));
      const marked = (i, name) =>
        document.querySelectorAll(`[data-c="${i}"]`).forEach((e) => e.classList.add(name));
      marked(own, "hot");
      kin.forEach((i) => marked(i, "kin"));
    }
    const box = mark.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const tall = box.height > 60;  // a line through many genes: stand beside the pointer
    const x = tall ? last.x : box.left + box.width / 2;
    const y = tall ? last.y - 8 : box.top;
    const left = Math.min(Math.max(8, x - size.width / 2), innerWidth - size.width - 8);
    const above = y - size.height - 10;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : Math.min(y + (tall ? 28 : box.height + 10), innerHeight - size.height - 4)}px`;
  };

  const last = { x: innerWidth / 2, y: innerHeight / 2 };
  // The mark at a point, or one a finger's width beside it.
  const around = [[0, 0], [6, 0], [-6, 0], [0, 6], [0, -6], [9, 9], [-9, 9], [9, -9], [-9, -9]];
  const markOf = (event) => {
    if (!event.target.closest || !event.target.closest("figure svg")) return null;
    for (const [dx, dy] of around) {
      const there = document.elementFromPoint(event.clientX + dx, event.clientY + dy);
      const mark = there && there.closest("[data-c], [data-tip]");
      if (mark) return mark;
    }
    return null;
  };
  let shown = null;
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    last.x = event.clientX;
    last.y = event.clientY;
    const mark = markOf(event);
    if (mark === shown) return;
    shown = mark;
    if (mark) show(mark);
    else if (!document.activeElement.matches("svg")) hide();
  });
  document.addEventListener("click", (event) => {
    last.x = event.clientX;
    last.y = event.clientY;
    const mark = markOf(event);
    if (mark) show(mark);
    else hide();
  });
  document.addEventListener("scroll", () => !document.activeElement.matches("svg") && hide(), { passive: true });

  // Arrow keys: marks of a picture from left to right.
  const prepare = () => {
    document.querySelectorAll("figure svg[role=img]").forEach((svg) => {
      if (!svg.querySelector("[data-c], [data-tip]")) return;
      svg.setAttribute("tabindex", "0");
      svg.setAttribute("aria-roledescription", "picture; arrow keys walk through its marks");
    });
  };
  prepare();
  const places = new WeakMap();
  const walk = (svg) => {
    if (!places.has(svg)) {
      const marks = [...svg.querySelectorAll("[data-c], [data-tip]")];
      const at = new Map(marks.map((m) => [m, m.getBBox()]));
      marks.sort((a, b) => at.get(a).x - at.get(b).x || at.get(a).y - at.get(b).y);
      places.set(svg, { marks, now: -1 });
    }
    return places.get(svg);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    const svg = event.target;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !(svg instanceof SVGSVGElement)) return;
    event.preventDefault();
    const path = walk(svg);
    if (path.now < 0 && step < 0) path.now = 0;  // the first step back is to the last mark
    path.now = (path.now + step + path.marks.length) % path.marks.length;
    show(path.marks[path.now]);
  });
  document.addEventListener("focusout", hide);
  window.addEventListener("beforeprint", hide);

  if (!("live" in document.body.dataset)) return;

  // Live: ask what the state is; where it is another, fetch the page and take over what changed.
  let version = null;
  let before = null;  // the state, while in its place stands that the server has ended
  const differ = (a, b) => {
    const plain = (e) => {
      const copy = e.cloneNode(true);
      copy.querySelectorAll("details[open]").forEach((d) => d.removeAttribute("open"));
      copy.querySelectorAll("svg[tabindex]").forEach((s) => {
        s.removeAttribute("tabindex");
        s.removeAttribute("aria-roledescription");
      });
      copy.querySelectorAll(".hot, .kin").forEach((m) => m.classList.remove("hot", "kin"));
      return copy.innerHTML;
    };
    return plain(a) !== plain(b);
  };
  const take = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = document.getElementById("main");
    known = JSON.parse(next.getElementById("points").textContent);
    document.getElementById("points").textContent = next.getElementById("points").textContent;
    // What is read stays where it is: the first section of which more than an edge shows.
    const top = [...main.children].find((s) => s.getBoundingClientRect().bottom > 60);
    const before = top ? top.getBoundingClientRect().top : 0;
    const within = (section) => [...section.querySelectorAll("a, summary, [tabindex]")];
    let back = null;  // to where the focus was
    const sections = [...next.getElementById("main").children];  // which move from there to here
    const ids = new Set(sections.map((section) => section.id));
    sections.forEach((fresh, i) => {
      const old = document.getElementById(fresh.id);
      if (!old) return main.insertBefore(fresh, main.children[i] || null);
      if (!differ(old, fresh)) return;
      if (old.contains(document.activeElement)) back = [fresh, within(old).indexOf(document.activeElement)];
      const open = [...old.querySelectorAll("details")].map((d) => d.open);
      fresh.querySelectorAll("details").forEach((d, k) => (d.open = Boolean(open[k])));
      old.replaceWith(fresh);
    });
    [...main.children].forEach((old) => ids.has(old.id) || old.remove());
    for (const id of ["state", "verdict"]) {
      const fresh = next.getElementById(id);
      if (document.getElementById(id).outerHTML !== fresh.outerHTML) document.getElementById(id).replaceWith(fresh);
    }
    const nav = document.querySelector("nav ul"), list = next.querySelector("nav ul");
    if (nav.innerHTML !== list.innerHTML) nav.replaceWith(list);
    if (top) {
      const now = document.getElementById(top.id);
      if (now) scrollBy({ top: now.getBoundingClientRect().top - before, behavior: "instant" });
    }
    document.getElementById("news").textContent = document.getElementById("state").textContent;
    prepare();
    if (back) within(back[0])[back[1]]?.focus({ preventScroll: true });
  };
  const ask = async () => {
    try {
      const state = await (await fetch("state")).json();
      if (before) document.getElementById("state").replaceWith(before);
      before = null;
      if (version === null) version = document.body.dataset.live;
      if (state.version !== version && tip.hidden) {
        const answer = await fetch("./");
        if (answer.ok) {
          take(await answer.text());
          version = answer.headers.get("X-Version");
        }
      }
    } catch (error) {
      const place = document.getElementById("state");
      before = before || place.cloneNode(true);
      place.textContent = "the server has ended; this is the last it said";
      place.className = "state open";
    }
    setTimeout(ask, 2000);
  };
  ask();
})();
