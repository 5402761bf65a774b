// Filters and sorts the leaderboard. No library: the rows are LEADERBOARD of leaderboard_data.js.
(() => {
  const board = document.getElementById("board");
  if (!board || typeof LEADERBOARD === "undefined") return;
  const form = board.querySelector("form");
  const body = board.querySelector("tbody");
  const caption = board.querySelector("caption");
  const count = board.querySelector("[role=status]");
  const heads = [...board.querySelectorAll("th[data-key]")];
  const ALL = "all";
  const FIRST = "first"; // the most classes and images that the data set and split have
  const MEAN = "mean";
  const CHOSEN = "chosen";
  const OWN = "own";
  const defaults = { dataset: "mnist", split: "one_vs_rest", compared: FIRST, class: MEAN, rule: OWN, family: ALL };
  let most = FIRST;
  const state = { ...defaults, sort: "auroc", down: true, ...read() };

  // The address keeps what differs from the start, so that a view can be sent to somebody.
  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const found = {};
    for (const key of [...Object.keys(defaults), "sort"]) if (said.has(key)) found[key] = said.get(key);
    if (said.has("down")) found.down = said.get("down") === "true";
    return found;
  }

  function remember() {
    const said = new URLSearchParams();
    for (const [key, value] of Object.entries(defaults)) if (state[key] !== value && state[key] !== most) said.set(key, state[key]);
    if (state.sort !== "auroc" || !state.down) {
      said.set("sort", state.sort);
      said.set("down", state.down);
    }
    try {
      history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
    } catch {
      // a local file in a browser that does not allow it
    }
  }

  const unique = (values) => [...new Set(values)];
  const within = (row, keys) => keys.every((key) => state[key] === ALL || row[key] === state[key]);

  function fill(key, options) {
    const select = form.elements[key];
    if (!options.some(([value]) => value === state[key])) state[key] = options[0][0];
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === state[key])));
  }

  // What a filter offers is what the ones before it leave.
  function offer() {
    const all = (text = "all") => [[ALL, text]];
    const values = (rows, key) => unique(rows.map((row) => row[key])).map((value) => [value, value]);
    fill("dataset", [...values(LEADERBOARD, "dataset"), ...all()]);
    let rows = LEADERBOARD.filter((row) => within(row, ["dataset"]));
    fill("split", [...values(rows, "split"), ...all()]);
    rows = rows.filter((row) => within(row, ["split"]));
    const images = values(rows, "compared").sort((a, b) => compare(size(b[0]), size(a[0])));
    most = images[0][0];
    fill("compared", [...images, ...all("all (not comparable)")]);
    rows = rows.filter((row) => within(row, ["compared"]));
    const classes = unique(rows.flatMap((row) => Object.keys(row.classes)));
    classes.sort((a, b) => parseInt(a) - parseInt(b));
    fill("class", [[MEAN, "mean over classes"], ...classes.map((name) => [name, name])]);
    const rules = unique(rows.map((row) => row.rule)).filter((rule) => rule !== OWN);
    const first = [[OWN, "own score"]];
    if (rows.some((row) => row.chosen)) first.push([CHOSEN, "the chosen one †"]);
    fill("rule", [...first, ...rules.map((rule) => [rule, rule]), ...all()]);
    fill("family", [...all(), ...values(rows, "family").sort()]);
  }

  const size = (text) => (text.startsWith("all") ? 1e6 : 0) + Number((text.match(/;\s([\d,]+)/) || ["", "0"])[1].replace(/,/g, ""));
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);

  function numbers(row) {
    if (state.class === MEAN) {
      const sd = row.sd;
      return { auroc: row.mean, low: sd === null ? null : row.mean - sd, high: sd === null ? null : row.mean + sd,
               spread: sd === null ? "" : `sd ${sd.toFixed(3)}`, width: sd };
    }
    const [auroc, low, high] = row.classes[state.class];
    return { auroc, low, high, spread: low === null ? "" : `${low.toFixed(3)} to ${high.toFixed(3)}`,
             width: low === null ? null : high - low };
  }

  function shown() {
    return LEADERBOARD.filter((row) => within(row, ["dataset", "split", "compared", "family"]))
      .filter((row) => (state.rule === CHOSEN ? row.chosen : state.rule === ALL || row.rule === state.rule))
      .filter((row) => state.class === MEAN || state.class in row.classes)
      .map((row) => ({ ...row, ...numbers(row) }));
  }

  function sorted(rows) {
    const key = state.sort === "spread" ? "width" : state.sort;
    const sign = state.down ? -1 : 1;
    return rows.sort((a, b) => {
      if (a[key] === null || b[key] === null) return (a[key] === null) - (b[key] === null); // nothing comes last
      return sign * compare(a[key], b[key]) || b.auroc - a.auroc || compare(a.model, b.model);
    });
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // A dot with a line from low to high on a scale that all rows share; the numbers stand beside it.
  function bar(row, from) {
    const at = (value) => (100 * (Math.min(1, Math.max(from, value)) - from)) / (1 - from);
    const made = element("span", { className: "board-bar", ariaHidden: "true" });
    if (row.low !== null) {
      const line = element("span", { className: "board-line" });
      line.style.left = `${at(row.low)}%`;
      line.style.width = `${at(row.high) - at(row.low)}%`;
      made.append(line);
    }
    const dot = element("span", { className: "board-dot" });
    dot.style.left = `${at(row.auroc)}%`;
    made.append(dot);
    return made;
  }

  function name(row) {
    const made = element("th", { scope: "row" }, element("a", { href: `docs/models/${row.model}.html` }, row.model));
    if (row.floor) {
      made.append(" ", element("span", { title: `below ${row.floor}`, ariaHidden: "true" }, "▽"));
      made.append(element("span", { className: "board-hidden" }, `below ${row.floor}`));
    }
    if (row.variant) made.append(element("small", {}, row.variant));
    return made;
  }

  function command(row) {
    const href = `results/${row.experiment}/index.html#${row.job || "commands"}`;
    const link = element("a", { href }, row.experiment);
    link.setAttribute("aria-label", `Command of ${row.model} ${row.variant} in ${row.experiment}`);
    return link;
  }

  function draw() {
    const rows = sorted(shown());
    const least = Math.min(...rows.map((row) => row.low ?? row.auroc));
    const from = rows.length ? Math.max(0, Math.floor(least * 10) / 10) : 0;
    const places = ["dataset", "split", "compared"].filter((key) => state[key] === ALL); // one for all: in the caption
    for (const head of heads) {
      head.hidden = ["dataset", "split", "compared"].includes(head.dataset.key) && !places.includes(head.dataset.key);
    }
    body.replaceChildren(
      ...rows.map((row) =>
        element("tr", {}, name(row),
          element("td", { className: "board-auroc" }, element("span", {}, row.auroc.toFixed(3)), bar(row, from)),
          element("td", {}, row.spread),
          element("td", {}, (row.rule === OWN ? "own score" : row.rule) + (row.chosen ? " †" : "")),
          element("td", {}, row.family), element("td", {}, command(row)),
          element("td", { className: "board-number" }, row.seconds === null ? "" : row.seconds.toFixed(1)),
          element("td", { className: "board-number" }, String(row.seeds)),
          ...places.map((key) => element("td", {}, row[key])))));
    const spread = state.class === MEAN ? "lines: standard deviation over classes" : "lines: DeLong's 95% interval, own scores only";
    const where = ["dataset", "split", "compared"].filter((key) => !places.includes(key)).map((key) => state[key]);
    const what = state.class === MEAN ? "mean over classes" : `class ${state.class}`;
    caption.firstElementChild.textContent = `AUROC, ${what} (${where.join("; ") || "all"}); ${spread}; scale\u00a0from\u00a0${from.toFixed(1)}\u00a0to\u00a01`;
    count.textContent = rows.length === 1 ? "1 row" : `${rows.length} rows`;
    for (const head of heads) {
      const mine = head.dataset.key === state.sort;
      head.setAttribute("aria-sort", mine ? (state.down ? "descending" : "ascending") : "none");
    }
    remember();
  }

  for (const head of heads) {
    const button = element("button", { type: "button" }, head.textContent);
    const largestFirst = ["auroc", "spread", "seeds"].includes(head.dataset.key);
    button.addEventListener("click", () => {
      state.down = state.sort === head.dataset.key ? !state.down : largestFirst;
      state.sort = head.dataset.key;
      draw();
    });
    head.replaceChildren(button);
  }
  form.addEventListener("change", (event) => {
    state[event.target.name] = event.target.value;
    if (["dataset", "split"].includes(event.target.name)) state.compared = FIRST;
    offer();
    draw();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    Object.assign(state, defaults, { sort: "auroc", down: true });
    offer();
    draw();
  });
  form.hidden = false;
  offer();
  draw();
})();
