// What a reader can switch: the theme, the prompt, the kind of distance, whole texts. Every text
// enters the page through textContent; nothing here reads HTML from data.
(() => {
  "use strict";

  const CELL = 20;
  const MARGIN = 12;
  const NUMBERED = 6;
  const root = document.documentElement;
  const memory = {
    get(key) {
      try { return localStorage.getItem(key); } catch { return null; }
    },
    set(key, value) {
      try { localStorage.setItem(key, value); } catch { /* Private windows may refuse; the choice then lasts as long as the page. */ }
    },
  };

  root.classList.add("scripted");
  const kept = memory.get("rarebit-theme");
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const drawn = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const shown = (thousandths) => (thousandths / 1000).toFixed(2);

  function themeButton() {
    const button = document.getElementById("theme");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const current = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
    const name = () => {
      const next = current() === "dark" ? "light" : "dark";
      button.textContent = next === "dark" ? "Dark" : "Light";
      button.setAttribute("aria-label", `Switch to the ${next} theme`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      memory.set("rarebit-theme", root.dataset.theme);
      name();
    });
    dark.addEventListener("change", name);
    name();
  }

  function copyButton() {
    const button = document.getElementById("copy");
    const commands = document.getElementById("commands");
    button?.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(commands.textContent);
        button.textContent = "Copied";
      } catch {
        // Without the right to write, the reader's own copy key does it.
        getSelection().selectAllChildren(commands);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // The upper triangle of a symmetric matrix, row by row.
  class Triangle {
    constructor(thousandths) {
      this.cells = thousandths;
      this.size = Math.round((1 + Math.sqrt(1 + 8 * thousandths.length)) / 2);
    }
    get(row, column) {
      if (row === column) return null;
      const [first, second] = row < column ? [row, column] : [column, row];
      return this.cells[(first * (2 * this.size - first - 1)) / 2 + second - first - 1];
    }
    summary() {
      let nearest = { distance: Infinity };
      for (let row = 0; row < this.size; row++) {
        for (let column = row + 1; column < this.size; column++) {
          const distance = this.get(row, column);
          if (distance < nearest.distance) nearest = { distance, row, column };
        }
      }
      const mean = this.cells.reduce((sum, cell) => sum + cell, 0) / this.cells.length;
      return `mean ${shown(mean)} · nearest ${nearest.row + 1} and ${nearest.column + 1}: ${shown(nearest.distance)}`;
    }
  }

  // A map that answers to the pointer and, once focused, to the arrow keys.
  function heatMap(triangle, system, kind, darkest, items, speak) {
    const { size } = triangle;
    const side = size * CELL + MARGIN;
    const svg = drawn("svg", { viewBox: `-${MARGIN} -${MARGIN} ${side} ${side}`, "aria-hidden": "true" });
    for (let row = 0; row < size; row++) {
      svg.append(drawn("text", { class: "index", x: (row + 0.5) * CELL, y: -4 }, row + 1));
      svg.append(drawn("text", { class: "index", x: -7, y: (row + 0.62) * CELL }, row + 1));
      for (let column = 0; column < size; column++) {
        const place = { x: column * CELL, y: row * CELL, width: CELL, height: CELL };
        const distance = triangle.get(row, column);
        if (distance === null) {
          svg.append(drawn("rect", { ...place, class: "self" }));
          continue;
        }
        svg.append(drawn("rect", { ...place, "fill-opacity": Math.min(distance / darkest, 1).toFixed(2) }));
      }
    }
    for (let row = 0; size <= NUMBERED && row < size; row++) {
      for (let column = 0; column < size; column++) {
        const distance = triangle.get(row, column);
        if (distance === null) continue;
        const place = { x: (column + 0.5) * CELL, y: (row + 0.6) * CELL };
        svg.append(drawn("text", distance / darkest > 0.5 ? { ...place, class: "on-dark" } : place, shown(distance)));
      }
    }
    const cursor = drawn("rect", { class: "cursor", width: CELL, height: CELL, visibility: "hidden" });
    svg.append(cursor);

    const readout = element("p", { className: "readout", textContent: triangle.summary() });
    const map = element("div", { className: "heat", tabIndex: 0 }, svg);
    map.setAttribute("role", "group");
    map.setAttribute("aria-label",
      `${kind} distances among ${system}’s ${size} responses: ${triangle.summary()}. Arrow keys read the cells.`);

    let at = null;
    const mark = () => items.forEach((item, index) =>
      item.classList.toggle("marked", at !== null && (index === at.row || index === at.column)));
    const go = (row, column, aloud) => {
      at = { row, column };
      cursor.setAttribute("x", column * CELL);
      cursor.setAttribute("y", row * CELL);
      cursor.setAttribute("visibility", "visible");
      const distance = triangle.get(row, column);
      readout.textContent = distance === null
        ? `${row + 1} with itself`
        : `${row + 1} and ${column + 1}: ${shown(distance)}`;
      if (aloud) speak(readout.textContent);
      mark();
    };
    const leave = () => {
      at = null;
      cursor.setAttribute("visibility", "hidden");
      readout.textContent = triangle.summary();
      mark();
    };
    map.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const cell = (offset, length) =>
        Math.max(0, Math.min(size - 1, Math.floor(((offset / length) * side - MARGIN) / CELL)));
      go(cell(event.clientY - box.top, box.height), cell(event.clientX - box.left, box.width), false);
    });
    map.addEventListener("pointerleave", leave);
    map.addEventListener("blur", leave);
    map.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      if (event.key === "Escape") return leave();
      const move = moves[event.key];
      if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const from = at ?? { row: 0, column: 0 };
      const clamp = (place) => Math.max(0, Math.min(size - 1, place));
      go(clamp(from.row + move[0]), clamp(from.column + move[1]), true);
    });
    return [map, readout];
  }

  function samples() {
    const source = document.getElementById("samples-data");
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const picker = document.getElementById("prompt");
    const columns = document.getElementById("systems");
    const spoken = document.getElementById("spoken");
    const speak = (text) => { spoken.textContent = text; };
    const kind = () => document.querySelector("input[name=kind]:checked").value;

    const response = ({ text, cut, score }) => {
      const item = element("li", {}, element("p", { dir: "auto", textContent: cut ? `${text} […]` : text }));
      if (score !== null) item.append(element("span", { className: "score", textContent: `score ${score}` }));
      return item;
    };
    const column = (system) => {
      const items = system.responses.map(response);
      const heading = element("h3", {}, element("span", { className: "dot" }), element("bdi", { textContent: system.name }));
      const map = system[kind()]
        ? heatMap(new Triangle(system[kind()]), system.name, kind(), data.darkest[kind()], items, speak)
        : [element("p", { className: "absent", textContent: "No distances are kept for this prompt." })];
      return element("article", { className: `system s${system.colour}` },
        heading, element("p", { className: "facts", textContent: system.facts }), ...map, element("ol", {}, ...items));
    };
    const show = () => {
      const prompt = data.prompts[Number(picker.value)];
      document.getElementById("prompt-text").textContent = prompt.text;
      document.getElementById("darkest").textContent = (data.darkest[kind()] / 1000).toFixed(1);
      columns.replaceChildren(...prompt.systems.map(column));
      for (const button of document.querySelectorAll("[data-step]")) {
        const next = picker.selectedIndex + Number(button.dataset.step);
        button.disabled = next < 0 || next >= data.prompts.length;
      }
    };
    picker.addEventListener("change", show);
    for (const input of document.querySelectorAll("input[name=kind]")) input.addEventListener("change", show);
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => {
        picker.selectedIndex += Number(button.dataset.step);
        show();
        speak(`Prompt ${picker.selectedIndex + 1} of ${data.prompts.length}`);
      });
    }
    document.getElementById("whole").addEventListener("change", (event) => {
      columns.classList.toggle("whole", event.target.checked);
    });
    show();
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const control of document.querySelectorAll(".needs-script")) control.hidden = false;
    themeButton();
    copyButton();
    samples();
  });
})();
