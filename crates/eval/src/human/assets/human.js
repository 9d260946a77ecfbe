// Shows items, takes answers, keeps them, saves them. Every text enters the page through
// textContent; nothing here reads HTML from data.
(() => {
  "use strict";

  const QUESTIONS = ["diversity", "quality"];
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // Whether this browser keeps anything is found out by trying.
  const memory = {
    works: true,
    get(key) {
      try { return localStorage.getItem(key); } catch { this.works = false; return null; }
    },
    set(key, value) {
      try { localStorage.setItem(key, value); } catch { this.works = false; }
      by("unkept").hidden = this.works;
    },
  };

  const kept = memory.get("rarebit-theme");
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  // FNV-1a over the name, then mulberry32: the same name sees the same order on every machine.
  function randomOf(text) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return () => {
      hash = (hash + 0x6d2b79f5) | 0;
      let mixed = Math.imul(hash ^ (hash >>> 15), 1 | hash);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // One annotator's way through the study. Within it each comparison has the baseline on the left
  // as often as on the right; mirroring all items keeps that.
  class Session {
    constructor(study, name) {
      this.study = study;
      this.name = name;
      this.key = `rarebit-human:${study.study}:${name}`;
      const random = randomOf(`${study.study}/${name}`);
      this.mirrored = random() < 0.5;
      this.items = [...study.items];
      for (let i = this.items.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [this.items[i], this.items[j]] = [this.items[j], this.items[i]];
      }
      this.answers = Session.read(this.key);
    }
    static read(key) {
      try { return JSON.parse(memory.get(key))?.answers ?? {}; } catch { return {}; }
    }
    keep() {
      memory.set(this.key, JSON.stringify({ answers: this.answers }));
      memory.set(`rarebit-human:${this.study.study}`, this.name);
    }
    // A side and the set that stands there name each other.
    turn(value) {
      const plain = { left: "first", right: "second", first: "left", second: "right", tie: "tie" };
      const mirrored = { left: "second", right: "first", first: "right", second: "left", tie: "tie" };
      return (this.mirrored ? mirrored : plain)[value];
    }
    answer(item) {
      return (this.answers[item.id] ??= {});
    }
    answered(item) {
      return QUESTIONS.filter((question) => this.answers[item.id]?.[question]).length;
    }
    complete() {
      return this.items.filter((item) => this.answered(item) === QUESTIONS.length).length;
    }
    firstOpen() {
      const at = this.items.findIndex((item) => this.answered(item) < QUESTIONS.length);
      return at < 0 ? this.items.length : at;
    }
    file() {
      const answers = this.items.filter((item) => this.answered(item) > 0).map((item) => {
        const { diversity = null, quality = null, seconds = 0 } = this.answers[item.id];
        return { item: item.id, left: this.turn("left"), diversity, quality, seconds: Math.round(seconds * 10) / 10 };
      });
      const { version, study } = this.study;
      return JSON.stringify({ version, study, annotator: this.name, answers }, null, 1) + "\n";
    }
  }

  function themeButton() {
    const button = by("theme");
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
    button.hidden = false;
    name();
  }

  const response = ({ text, summary }) => {
    const whole = element("p", { dir: "auto", textContent: text });
    if (summary === undefined) return element("li", {}, whole);
    return element("li", {}, element("p", { dir: "auto", textContent: summary }),
      element("details", {}, element("summary", { textContent: "The whole text" }), whole));
  };

  function run(study) {
    let session = null;
    let at = 0;
    let since = null;
    let saved = "";

    const speak = (text) => { by("spoken").textContent = text; };
    const show = (id) => {
      for (const section of ["start", "item", "end"]) by(section).hidden = section !== id;
      by("save").hidden = id !== "item";
    };
    const item = () => session.items[at];

    // Time counts while an item is on a page that is seen.
    const clock = (goes) => {
      if (since !== null && session.answered(item())) {
        const answer = session.answer(item());
        answer.seconds = (answer.seconds ?? 0) + (performance.now() - since) / 1000;
        session.keep();
        since = null;
      }
      if (goes) since ??= performance.now();
      else since = null;
    };

    const go = (to) => {
      if (!by("item").hidden) clock(false);
      at = Math.max(0, Math.min(session.items.length, to));
      if (at === session.items.length) return finish();
      const { prompt, sets } = item();
      const [left, right] = session.mirrored ? [sets[1], sets[0]] : sets;
      by("prompt").textContent = prompt;
      by("left").replaceChildren(...left.map(response));
      by("right").replaceChildren(...right.map(response));
      by("item-title").textContent = `Prompt ${at + 1} of ${session.items.length}`;
      by("answers").reset();
      for (const question of QUESTIONS) {
        const chosen = session.answers[item().id]?.[question];
        if (chosen) by("answers").elements[question].value = session.turn(chosen);
      }
      by("back").hidden = at === 0;
      count();
      show("item");
      by("item-title").focus({ preventScroll: true });
      scrollTo(0, 0);
      clock(!document.hidden);
    };

    const count = () => {
      by("progress").max = session.items.length;
      by("progress").value = session.complete();
      by("done").textContent = `${session.complete()} answered`;
    };

    const finish = () => {
      const open = session.items.map((item, index) => [item, index])
        .filter(([item]) => session.answered(item) < QUESTIONS.length);
      by("told").textContent = open.length === 0
        ? `All ${session.items.length} prompts are answered. Thank you!`
        : `${session.complete()} of ${session.items.length} prompts are answered. Open are:`;
      by("open").replaceChildren(...open.map(([, index]) => {
        const button = element("button", { type: "button", textContent: `Prompt ${index + 1}` });
        button.addEventListener("click", () => go(index));
        return element("li", {}, button);
      }));
      by("as-text").value = session.file();
      show("end");
      by("end-title").focus({ preventScroll: true });
      scrollTo(0, 0);
    };

    const save = () => {
      if (!by("item").hidden) clock(!document.hidden);
      const text = session.file();
      const name = session.name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
      const link = element("a", {
        href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
        download: `judgements-${name || "annotator"}.json`,
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      saved = text;
      speak("Saved.");
    };

    const choose = (question, side) => {
      session.answer(item())[question] = session.turn(side);
      session.keep();
      count();
    };

    by("who").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = by("name").value.trim();
      if (!name) return by("name").focus();
      session = new Session(study, name);
      session.keep();
      go(session.firstOpen());
    });
    const known = () => {
      const name = by("name").value.trim();
      const answers = name ? new Session(study, name).complete() : 0;
      by("known").textContent = answers ? `${answers} of ${study.items.length} are answered under this name; you go on where you stopped.` : "";
    };
    by("name").addEventListener("input", known);
    by("name").value = memory.get(`rarebit-human:${study.study}`) ?? "";
    known();

    by("answers").addEventListener("change", ({ target }) => choose(target.name, target.value));
    by("answers").addEventListener("submit", (event) => event.preventDefault());
    by("next").addEventListener("click", () => go(at + 1));
    by("back").addEventListener("click", () => go(at - 1));
    by("again").addEventListener("click", () => go(session.items.length - 1));
    by("save").addEventListener("click", save);
    by("save-end").addEventListener("click", save);
    by("as-text").addEventListener("focus", () => by("as-text").select());

    document.addEventListener("keydown", (event) => {
      if (!session || !by("keys").checked || event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
      if (event.target.matches("textarea, input:not([type=radio], [type=checkbox])")) return;
      if (event.key === "n" && at < session.items.length) return go(at + 1);
      if (event.key === "p" && at > 0) return go(at - 1);
      const place = "123456".indexOf(event.key);
      if (place < 0 || by("item").hidden) return;
      const question = QUESTIONS[Math.floor(place / 3)];
      const radio = by("answers").elements[question][place % 3];
      radio.checked = true;
      choose(question, radio.value);
      speak(`${radio.closest("fieldset").querySelector("legend").textContent} ${radio.nextElementSibling.textContent}`);
    });
    document.addEventListener("visibilitychange", () => {
      if (session && !by("item").hidden) clock(!document.hidden);
    });
    addEventListener("beforeunload", (event) => {
      if (!session) return;
      if (!by("item").hidden) clock(false);
      if (!memory.works && session.file() !== saved) event.preventDefault();
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    run(JSON.parse(by("study-data").textContent));
  });
})();
