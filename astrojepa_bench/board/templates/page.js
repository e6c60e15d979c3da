"use strict";
// The page works without this script, at length: every tab and every row stands open. It reads no network.
(() => {
  const root = document.documentElement;
  const all = (query, inside = document) => [...inside.querySelectorAll(query)];
  root.classList.add("js");

  // --- light and dark: as the reader's system says, or as they chose here ---
  const THEMES = ["auto", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("board-theme"); } catch { return null; } };
  const show = theme => {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Colours: ${theme}`;
  };
  const turn = () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    try { localStorage.setItem("board-theme", next); } catch { /* a page from a file may keep nothing */ }
    show(next);
  };
  show(THEMES.includes(stored()) ? stored() : "auto");

  // --- tabs ---
  const tabs = () => all("[role=tab]");
  const choose = (tab, focus) => {
    for (const each of tabs()) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", chosen);
      each.tabIndex = chosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
  };
  const stepTabs = event => {
    const found = tabs(), at = found.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: found.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    choose(found[(to + found.length) % found.length], true);
  };

  // --- rows that open ---
  const toggle = (row, open) => {
    const button = row.querySelector(".open"), detail = row.nextElementSibling;
    const wanted = open ?? button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", wanted);
    detail.classList.toggle("shown", wanted);
  };

  // --- sorting: each block by itself, a row with what it opens to ---
  const valueOf = (row, column) => {
    const { v } = row.cells[column].dataset;
    return v === undefined || v === "" ? null : Number.isNaN(Number(v)) ? v : Number(v);
  };
  const sort = heading => {
    const table = heading.closest("table"), column = heading.cellIndex;
    const before = heading.getAttribute("aria-sort");
    const first = heading.dataset.first;
    const next = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
    for (const other of all("th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    for (const block of table.tBodies) {
      const rows = all("tr.entry", block).map((row, at) => ({ row, at, detail: row.nextElementSibling, v: valueOf(row, column) }));
      rows.sort((a, b) => {
        if (a.v === null || b.v === null) return (a.v === null) - (b.v === null) || a.at - b.at;
        return a.v === b.v ? a.at - b.at : a.v < b.v ? -sign : sign;
      });
      for (const { row, detail } of rows) block.append(row, detail);
    }
  };

  // --- filtering: every word must stand in the row; objective and masker are exact ---
  const filter = form => {
    const panel = form.closest("[role=tabpanel]");
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { objective, masker } = form.elements;
    let shown = 0, total = 0;
    for (const block of panel.querySelector("table.board").tBodies) {
      let here = 0;
      for (const row of all("tr.entry", block)) {
        const text = row.dataset.words.toLowerCase();
        const fits = words.every(word => text.includes(word))
          && (!objective.value || row.dataset.objective === objective.value)
          && (!masker.value || row.dataset.masker === masker.value);
        row.hidden = !fits;
        row.nextElementSibling.hidden = !fits;
        here += fits;
        total += 1;
      }
      block.hidden = here === 0;
      shown += here;
    }
    form.querySelector("output").textContent = `${shown === total ? "" : `${shown} of `}${total} ${total === 1 ? "entry" : "entries"}`;
  };

  // --- links into the page: #tab, or #entry inside a tab ---
  const follow = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const panel = target.closest("[role=tabpanel]");
    if (panel) choose(document.querySelector(`[aria-controls="${CSS.escape(panel.id)}"]`));
    if (target.matches("tr.entry")) toggle(target, true);
    target.scrollIntoView();
  };

  addEventListener("DOMContentLoaded", () => {
    show(root.dataset.theme);
    document.getElementById("theme").addEventListener("click", turn);
    for (const tab of tabs()) {
      tab.addEventListener("click", () => {
        choose(tab);
        try { history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`); } catch { /* framed */ }
      });
      tab.addEventListener("keydown", stepTabs);
    }
    for (const row of all("tr.entry")) {
      row.addEventListener("click", event => {
        if (event.target.closest("a, input, select") || String(getSelection())) return;
        toggle(row);
      });
    }
    for (const button of all("th[aria-sort] button")) button.addEventListener("click", () => sort(button.parentElement));
    for (const form of all("form.filter")) {
      form.addEventListener("input", () => filter(form));
      form.addEventListener("submit", event => event.preventDefault());
      form.addEventListener("reset", () => setTimeout(() => filter(form)));
      filter(form);
    }
    const frames = new ResizeObserver(found => {
      for (const { target } of found) target.previousElementSibling.hidden = target.scrollWidth <= target.clientWidth;
    });
    for (const table of all("table.board")) frames.observe(table.parentElement);
    if (tabs().length) choose(document.querySelector("[role=tab][aria-selected=true]"));
    addEventListener("hashchange", follow);
    follow();
  });
})();
