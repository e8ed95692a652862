// The explorer: laws, intervals and optima, computed in the page from the points and exponents that it carries.
//
// First the mathematics, as in perflaw/laws and perflaw/study/explorer,
// to which tests/study/test_explorer.py holds it. Then the page.
(() => {
  "use strict";

  const AXES = ["N", "d"];
  const BEYOND = 4; // a turning point is told up to so many times the measured range
  const REACH = 2; // the chart goes so far
  const [INSIDE, OUTSIDE] = [30, 8]; // steps of a curve within the measured range, and on either side

  // --- laws

  // y = b + terms of N + terms of d: a law is the terms of one axis, where their sum is largest (NaN: nowhere), and bounds of the
  // exponents, if it has some. p is the exponent of the axis, beta holds the coefficients of its terms.
  const K = 2;
  const REFERENCE = { N: 8, d: 64 };
  const LAWS = {
    "Performance Law, k = 2": {
      terms: (x, p) => [boxcox(x, p) / K - Math.log(x)],
      turn: (beta, p) => (beta[0] * p > 0 ? K ** (-1 / p) : NaN),
      bounds: [-3, 3],
    },
    "log-quadratic": {
      terms: (x) => [Math.log(x), Math.log(x) ** 2],
      turn: (beta) => (beta[1] < 0 ? Math.exp(-beta[0] / (2 * beta[1])) : NaN),
    },
    "sum of powers": { terms: (x, p, axis) => [boxcox(x / REFERENCE[axis], p)], turn: () => NaN, bounds: [0, 3] },
    "log-linear": { terms: (x) => [Math.log(x)], turn: () => NaN },
  };

  function boxcox(x, p) {
    return p === 0 ? Math.log(x) : -Math.expm1(-p * Math.log(x)) / p;
  }

  // --- least squares

  // Of y on columns, all with mean 0, by modified Gram-Schmidt, y carried along: coefficients, the triangular factor of the
  // columns as rows, and the sum of squares.
  function leastSquares(columns, y) {
    const q = columns.map((column) => column.slice());
    const rest = y.slice();
    const root = q.map(() => q.map(() => 0));
    const beta = q.map(() => 0);
    for (let j = 0; j < q.length; j++) {
      root[j][j] = Math.sqrt(dot(q[j], q[j]));
      for (let i = 0; i < y.length; i++) q[j][i] /= root[j][j];
      for (let k = j + 1; k < q.length; k++) root[j][k] = subtract(q[k], q[j]);
      beta[j] = subtract(rest, q[j]);
    }
    for (let j = q.length - 1; j >= 0; j--) {
      for (let k = j + 1; k < q.length; k++) beta[j] -= root[j][k] * beta[k];
      beta[j] /= root[j][j];
    }
    return { beta, root, rss: dot(rest, rest) };
  }

  // The sum of squares of two columns by normal equations: quick, and good enough to tell which are worth solving well.
  function roughly(a, b, y) {
    const [aa, ab, bb, ay, by] = [dot(a, a), dot(a, b), dot(b, b), dot(a, y), dot(b, y)];
    return dot(y, y) - (bb * ay * ay - 2 * ab * ay * by + aa * by * by) / (aa * bb - ab * ab);
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  // Takes from `a` its part along the unit vector `u`; returns how much that was.
  function subtract(a, u) {
    const part = dot(a, u);
    for (let i = 0; i < a.length; i++) a[i] -= part * u[i];
    return part;
  }

  function mean(values) {
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  // --- a fitted law

  // The law solved at its best exponents and at all others that an interval may reach (profile.candidates):
  // a lattice over their bounds, and a finer one around the best along the data's own axes. The intercept is what
  // remains when all columns have mean 0.
  function solve(data, surface, name) {
    const law = LAWS[name];
    const points = data.grids[surface.grid];
    const packed = fitOf(surface, name)[3];
    const [theta, near] = packed ? [unpack(packed).slice(0, 2), unpack(packed).slice(2)] : [[], []];
    const n = surface.values.length;
    const level = mean(surface.values);
    const y = surface.values.map((value) => value - level);
    const terms = AXES.map((axis) => remember((p) => centred(columnsOf(law, axis, points[axis], p))));
    const at = (theta) => {
      const [N, d] = [terms[0](theta[0]), terms[1](theta[1])];
      const { beta, root, rss } = leastSquares(N.columns.concat(d.columns), y);
      return { theta, beta, root, rss, means: [N.means, d.means], slack: 0 };
    };
    const fit = at(theta);
    const dof = n - 1 - fit.beta.length - theta.length;
    const t = data.quantiles[dof];
    const allowed = fit.rss * (1 + (t * t) / dof);
    const others = packed ? exponents(theta, near, AXES.map((axis) => lattice(law, axis, points[axis])), law.bounds) : [];
    const worthwhile = ([a, b]) => !(roughly(terms[0](a).columns[0], terms[1](b).columns[0], y) > allowed * (1 + 1e-6));
    const inside = [fit, ...others.filter(worthwhile).map(at).filter((one) => one.rss <= allowed)];
    for (const one of inside) one.slack = allowed - one.rss;
    const ranges = AXES.map((axis) => [Math.min(...points[axis]), Math.max(...points[axis])]);
    const model = { law, n, level, fit, inside, width: fit.beta.length / 2, ranges };
    model.places = ranges.map(spread);
    const drawn = AXES.map((axis, i) => remember((p) => columnsOf(law, axis, model.places[i], p)));
    model.moving = drawn.map((columns, axis) => inside.map((one) => along(model, one, axis, columns(one.theta[axis]))));
    model.good = AXES.map((_, axis) => asGood(model, axis));
    return model;
  }

  // Where a curve is drawn: evenly in the logarithm, with the ends of the measured range.
  function spread([low, high]) {
    const [first, last] = [Math.max(1, low / REACH), REACH * high];
    const stretch = (a, b, n) => Array.from({ length: n }, (_, i) => a * (b / a) ** (i / n));
    return [...(first < low ? stretch(first, low, OUTSIDE) : []), ...stretch(low, high, INSIDE), ...stretch(high, last, OUTSIDE), last];
  }

  // R², errors on hidden cells, its state, exponents; nothing if the surface does not determine the law.
  function fitOf(surface, name) {
    return surface.laws[Object.keys(LAWS).indexOf(name)];
  }

  function exponents(theta, near, [first, second], [low, high]) {
    const all = first.flatMap((a) => second.map((b) => [a, b]));
    for (let i = -10; i <= 10; i++) {
      for (let j = -10; j <= 10; j++) {
        const step = (axis) => theta[axis] + (i / 10) * near[axis] + (j / 10) * near[2 + axis];
        all.push([0, 1].map((axis) => Math.min(Math.max(step(axis), low), high)));
      }
    }
    return all;
  }

  // Exponents of one axis over their bounds: two thirds of them spaced by the angle through which the law's column turns,
  // one third evenly, and 0 (varpro.lattice).
  function lattice(law, axis, places) {
    const known = lattices.get(law) || lattices.set(law, new Map()).get(law);
    if (!known.has(places)) known.set(places, spaced(law, axis, places));
    return known.get(places);
  }

  const lattices = new Map(); // by law and places

  function spaced(law, axis, places) {
    const [low, high] = law.bounds;
    const mesh = Array.from({ length: 601 }, (_, i) => (i < 600 ? low + (i * (high - low)) / 600 : high));
    const units = mesh.map((p) => {
      const [column] = centred(columnsOf(law, axis, places, p)).columns;
      const length = Math.sqrt(dot(column, column));
      return column.map((value) => value / length);
    });
    const turns = units.slice(1).map((unit, i) => {
      const chord = unit.map((value, k) => value - units[i][k]);
      return 2 * Math.asin(Math.min(Math.sqrt(dot(chord, chord)) / 2, 1));
    });
    const base = mean(turns) / 2;
    const travelled = [0];
    for (const angle of turns) travelled.push(travelled[travelled.length - 1] + angle + base);
    const values = [low];
    for (let k = 1, i = 1; k < 40; k++) {
      const goal = (k * travelled[600]) / 40;
      while (travelled[i] < goal) i++;
      values.push(mesh[i - 1] + ((mesh[i] - mesh[i - 1]) * (goal - travelled[i - 1])) / (travelled[i] - travelled[i - 1]));
    }
    return [...values, high, ...(low < 0 ? [0] : [])];
  }

  // Doubles in base 64.
  function unpack(text) {
    return [...new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)];
  }

  // The terms of one axis at n places, as columns.
  function columnsOf(law, axis, places, p) {
    const known = new Map(); // a grid has the same places again and again
    for (const x of places) if (!known.has(x)) known.set(x, law.terms(x, p, axis));
    return known.get(places[0]).map((_, k) => places.map((x) => known.get(x)[k]));
  }

  function centred(columns) {
    const means = columns.map(mean);
    return { means, columns: columns.map((column, k) => column.map((value) => value - means[k])) };
  }

  function remember(f) {
    const known = new Map();
    return (key) => (known.has(key) ? known.get(key) : known.set(key, f(key)).get(key));
  }

  // What places along an axis give to a candidate's prediction: what they add to the value, and root^-T row, whose squares add up to the
  // variance in units of the noise variance. Both are linear in the terms, so what two axes give may be added. p + 1 numbers a place.
  function along({ width }, { beta, root, means }, axis, columns) {
    const size = beta.length;
    const first = axis * width;
    const out = new Float64Array(columns[0].length * (size + 1));
    for (let i = 0, at = 0; i < columns[0].length; i++, at += size + 1) {
      for (let j = first; j < size; j++) {
        const own = j < first + width ? columns[j - first][i] - means[axis][j - first] : 0;
        let part = own;
        for (let k = first; k < j; k++) part -= root[k][j] * out[at + 1 + k];
        out[at] += own * beta[j];
        out[at + 1 + j] = part / root[j][j];
      }
    }
    return out;
  }

  function alongAt(model, one, axis, ...places) {
    return along(model, one, axis, columnsOf(model.law, AXES[axis], places, one.theta[axis]));
  }

  // A curve along one axis, the other held: values, and the interval for one more cell (fitting.Fit.interval), which is
  // the union over the candidates' own intervals. moving: what `along` gives for each candidate.
  function curve(model, axis, moving, other) {
    const size = model.fit.beta.length;
    const count = moving[0].length / (size + 1);
    const values = new Float64Array(count);
    const low = new Float64Array(count).fill(Infinity);
    const high = new Float64Array(count).fill(-Infinity);
    model.inside.forEach((one, c) => {
      const here = moving[c];
      const held = alongAt(model, one, 1 - axis, other);
      for (let i = 0, at = 0; i < count; i++, at += size + 1) {
        const centre = model.level + here[at] + held[0];
        let variance = 1 + 1 / model.n;
        for (let j = 1; j <= size; j++) {
          const part = here[at + j] + held[j];
          variance += part * part;
        }
        const half = Math.sqrt(one.slack * variance);
        if (c === 0) values[i] = centre;
        if (centre - half < low[i]) low[i] = centre - half;
        if (centre + half > high[i]) high[i] = centre + half;
      }
    });
    return { values, low, high };
  }

  // With `ratio` times the log's own tokens / ApEn: everything times ratio^slope, and the doubt about the slope in quadrature.
  function withData({ values, low, high }, ratio, effect) {
    const steps = Math.log(ratio);
    const factor = Math.exp(effect.slope * steps);
    const told = { values: values.map((value) => factor * value), low: low.slice(), high: high.slice() };
    values.forEach((value, i) => {
      const doubt = factor * value * effect.reach * steps;
      told.low[i] = factor * value - Math.hypot(factor * (value - low[i]), doubt);
      told.high[i] = factor * value + Math.hypot(factor * (high[i] - value), doubt);
    });
    return told;
  }

  function predict(model, N, d, ratio, effect) {
    const moving = model.inside.map((one) => alongAt(model, one, 0, N));
    const { values, low, high } = withData(curve(model, 0, moving, d), ratio, effect || NO_EFFECT);
    return { value: values[0], low: low[0], high: high[0] };
  }

  const NO_EFFECT = { slope: 0, reach: 0 };

  // The law's maximum along an axis, and the best place within the measured range: that, or an end.
  function turn({ law, fit, width }, axis) {
    return law.turn(fit.beta.slice(axis * width, (axis + 1) * width), fit.theta[axis]);
  }

  function best(model, axis) {
    const [low, high] = model.ranges[axis];
    const place = turn(model, axis);
    if (Number.isFinite(place)) return Math.min(Math.max(place, low), high);
    const size = model.fit.beta.length;
    const ends = alongAt(model, model.fit, axis, low, high);
    return ends[0] > ends[size + 1] ? low : high;
  }

  // The least and the largest of the places where the curve is drawn, within the measured range, that the data do not tell
  // apart from the best (explorer.as_good).
  function asGood(model, axis) {
    const size = model.fit.beta.length;
    const peak = best(model, axis);
    const measured = [...model.places[axis].keys()].filter((i) => within(model.places[axis][i], model.ranges[axis]));
    let left = measured;
    model.inside.forEach((one, c) => {
      const top = alongAt(model, one, axis, peak);
      const here = model.moving[axis][c];
      left = left.filter((i) => {
        const at = i * (size + 1);
        let variance = 0;
        for (let j = 1; j <= size; j++) variance += (top[j] - here[at + j]) * (top[j] - here[at + j]);
        return top[0] - here[at] > Math.sqrt(one.slack * variance);
      });
    });
    const good = measured.filter((i) => !left.includes(i)).map((i) => model.places[axis][i]);
    return good.length ? [good[0], good[good.length - 1]] : [peak, peak];
  }

  function within(x, [low, high]) {
    return x >= low && x <= high;
  }

  // What a slider stops at: whole numbers as far as the chart goes, about equal steps of the logarithm, those measured among them.
  function ladder(values) {
    const [low, high] = [Math.max(1, Math.min(...values) / REACH), REACH * Math.max(...values)];
    const steps = Array.from({ length: 41 }, (_, i) => Math.round(low * (high / low) ** (i / 40)));
    return [...new Set([...steps.filter((x) => x >= low && x <= high), ...values])].sort((a, b) => a - b);
  }

  // One for each metric, as the rest takes them.
  function surfacesOf(data) {
    return data.surfaces.flatMap(({ metrics, ...shared }) => metrics.map((one) => ({ ...shared, ...one })));
  }

  const mathematics = { LAWS, surfacesOf, solve, predict, turn, best, ladder };
  if (typeof module === "object" && module.exports) module.exports = mathematics;
  if (typeof document === "undefined") return;
  window.perflawExplorer = mathematics;

  // --- the page

  const root = document.querySelector("div.explorer"); // the section has the name explorer
  const source = document.getElementById("explorer-data");
  if (!root || !source) return;
  const data = JSON.parse(source.textContent);
  const surfaces = surfacesOf(data);
  const form = root.querySelector("form");
  const chart = root.querySelector(".explorer-chart");
  const answer = root.querySelector(".explorer-answer");
  const words = root.querySelector(".explorer-words");
  const aloud = root.querySelector("[role=status]");
  const control = (name) => form.elements[name];
  const LONG = { N: "layers N", d: "dimension d" };
  const stops = {}; // of the sliders of N and d
  let latest = {}; // the model last drawn
  let speaking = 0; // a timer
  let drawn = 0; // the width of the chart

  function start() {
    const group = (own) => {
      const element = document.createElement("optgroup");
      element.label = own ? "our own sweeps" : "published surfaces";
      const whose = data.surfaces.filter((one) => !one.own === !own);
      element.append(...whose.map(({ name }) => new Option(name, name)));
      return element;
    };
    control("surface").append(...[group(false), group(true)].filter((element) => element.children.length));
    control("surface").value = surfaces[0].name;
    choose();
    home();
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      home();
      draw();
    });
    form.addEventListener("input", (event) => {
      if (event.target.name === "surface") choose();
      if (["surface", "metric"].includes(event.target.name)) home(event.target.name === "surface");
      draw();
    });
    root.classList.add("explorer-ready");
    draw();
    new ResizeObserver(() => chart.clientWidth === drawn || draw()).observe(chart);
  }

  // Fills the lists of metrics and laws with what the log has, and the sliders with its range.
  function choose() {
    const here = surfaces.filter((one) => one.name === control("surface").value);
    refill(control("metric"), here.map((one) => one.metric));
    refill(control("law"), Object.keys(LAWS).filter((name) => here.every((one) => fitOf(one, name))));
  }

  function refill(select, values) {
    const before = select.value;
    select.replaceChildren(...values.map((value) => new Option(value, value)));
    select.value = values.includes(before) ? before : values[0];
  }

  // The sliders at home: a cell in the middle of the grid, the log's own data.
  function home(sizes = true) {
    const points = data.grids[surfaceNow().grid];
    for (const axis of sizes ? AXES : []) {
      const measured = [...new Set(points[axis])].sort((a, b) => a - b);
      stops[axis] = ladder(measured);
      control(axis).max = stops[axis].length - 1;
      control(axis).value = stops[axis].indexOf(measured[Math.floor(measured.length / 2)]);
    }
    for (const name of ["tokens", "apen"]) {
      if (sizes) control(name).value = 0;
      control(name).disabled = surfaceNow().effect === null;
    }
  }

  function surfaceNow() {
    return surfaces.find((one) => one.name === control("surface").value && one.metric === control("metric").value);
  }

  // The model of a surface and law; a curve is kept while what it holds stays.
  function modelNow(surface) {
    const name = control("law").value;
    if (latest.surface === surface && latest.name === name) return latest;
    const model = solve(data, surface, name);
    const curves = AXES.map((_, axis) => last((held) => curve(model, axis, model.moving[axis], held)));
    return (latest = { ...model, surface, name, curves });
  }

  // f, which need not compute again what it was asked last.
  function last(f) {
    let [asked, answer] = [NaN, null];
    return (x) => (x === asked ? answer : ([asked, answer] = [x, f(x)])[1]);
  }

  function draw() {
    const surface = surfaceNow();
    const model = modelNow(surface);
    const place = AXES.map((axis) => stops[axis][control(axis).value]);
    const [tokens, apen] = ["tokens", "apen"].map((name) => 2 ** (control(name).value / 4));
    const effect = data.effects[surface.effect] || NO_EFFECT;
    const ratio = tokens / apen;
    const peak = [best(model, 0), best(model, 1)];
    const now = {
      surface, model, place, effect, ratio, peak,
      told: predict(model, ...place, ratio, effect),
      top: predict(model, ...peak, ratio, effect),
    };
    AXES.forEach((axis, i) => label(axis, `${place[i]}`, `${place[i]} ${i ? "dimensions" : "layers"}`));
    label("tokens", amount(tokens, surface.tokens));
    label("apen", amount(apen, surface.apen));
    drawChart(now);
    tell(now);
  }

  function label(name, short, long = short) {
    control(name).closest("label").querySelector("span:last-child").textContent = short;
    control(name).setAttribute("aria-valuetext", long);
  }

  function amount(times, own) {
    const shown = own === undefined ? "" : ` (${(times * own).toLocaleString("en", { maximumSignificantDigits: 3 })})`;
    return `× ${round(times)}${shown}`;
  }

  function round(x) {
    return String(Number(x.toPrecision(x >= 1000 ? 4 : 3)));
  }

  // --- the chart

  function drawChart(now) {
    const room = (drawn = chart.clientWidth);
    const shown = control("along").value === "both" ? [0, 1] : [AXES.indexOf(control("along").value)];
    const columns = shown.length > 1 && room >= 560 ? 2 : 1;
    const size = { width: Math.floor(room / columns), height: room < 560 ? 230 : 290 };
    const curves = shown.map((axis) => withData(now.model.curves[axis](now.place[1 - axis]), now.ratio, now.effect));
    const span = extent(now, shown, curves);
    const panels = shown.map((axis, i) => panel(now, axis, curves[i], span, size, [(i % columns) * size.width, Math.floor(i / columns) * size.height]));
    const { value, low, high } = now.told;
    const said = `${now.surface.metric} against ${shown.map((axis) => LONG[AXES[axis]]).join(" and ")}: ` +
      `at N = ${now.place[0]} and d = ${now.place[1]} ${value.toFixed(4)}, from ${low.toFixed(4)} to ${high.toFixed(4)}.`;
    const height = size.height * Math.ceil(shown.length / columns);
    chart.innerHTML = `<svg role="img" aria-label="${escape(said)}" width="${room}" height="${height}" viewBox="0 0 ${room} ${height}">${panels.join("")}</svg>`;
  }

  // One range of values for all panels: the points, the curves where measured, the chosen place, and room around them.
  function extent({ surface, model, told }, shown, curves) {
    const values = [...surface.values, told.value];
    shown.forEach((axis, i) => values.push(...curves[i].values.filter((_, j) => within(model.places[axis][j], model.ranges[axis]))));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return [Math.max(0, low - 0.3 * (high - low)), high + 0.3 * (high - low)];
  }

  function panel({ surface, model, place, peak, told }, axis, { values, low, high }, span, { width, height }, [left, top]) {
    const other = AXES[1 - axis];
    const places = model.places[axis];
    const held = place[1 - axis];
    const range = model.ranges[axis];
    const box = { left: left + 46, right: left + width - 18, top: top + 28, bottom: top + height - 40 };
    const x = (value) => box.left + ((box.right - box.left) * Math.log(value / places[0])) / Math.log(places[places.length - 1] / places[0]);
    const y = (value) => box.bottom - ((box.bottom - box.top) * (value - span[0])) / (span[1] - span[0]);
    const clamp = (value) => Math.min(Math.max(value, 2 * span[0] - span[1]), 2 * span[1] - span[0]);
    const every = [...places.keys()];
    const where = (test) => every.filter((i) => test(places[i]));
    const path = (which, of) => "M" + which.map((i) => `${fixed(x(places[i]))},${fixed(y(clamp(of[i])))}`).join("L");
    const grid = data.grids[surface.grid];
    const measured = [...new Set(grid[AXES[axis]])].sort((a, b) => a - b);
    const others = [...new Set(grid[other])];
    const nearest = others.reduce((a, b) => (Math.abs(Math.log(b / held)) < Math.abs(Math.log(a / held)) ? b : a));
    const dots = surface.values.map((value, i) => ({ value, at: grid[AXES[axis]][i], near: grid[other][i] === nearest }));
    dots.sort((a, b) => a.near - b.near);
    const clip = `explorer-clip-${AXES[axis]}`;
    const inView = (value) => Math.min(Math.max(value, box.top), box.bottom);
    const line = (name, x1, y1, x2, y2) => `<line class="${name}" x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}"/>`;
    const text = (name, x, y, anchor, content) => `<text class="${name}" x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${content}</text>`;
    const rect = (name, from, to) => `<rect class="${name}" x="${fixed(from)}" y="${box.top}" width="${fixed(to - from)}" height="${box.bottom - box.top}"/>`;
    const [from, to] = range.map(x);
    const [good, here] = [model.good[axis].map(x), x(place[axis])];
    return [
      `<clipPath id="${clip}">${rect("", box.left, box.right)}</clipPath>`,
      rect("beyond", box.left, from),
      rect("beyond", to, box.right),
      ...ticks(span).map(([v, name]) => line("grid", box.left, y(v), box.right, y(v)) + text("tick", box.left - 6, y(v) + 4, "end", name)),
      ...apart(measured, places, (box.right - box.left) / 34).map(
        (v) => line("grid", x(v), box.bottom, x(v), box.bottom + 4) + text("tick", x(v), box.bottom + 17, "middle", round(v)),
      ),
      `<g clip-path="url(#${clip})">`,
      `<path class="band" d="${path(every, high)}L${path([...every].reverse(), low).slice(1)}Z"/>`,
      `<path class="law dashed" d="${path(where((v) => v <= range[0]), values)}"/>`,
      `<path class="law dashed" d="${path(where((v) => v >= range[1]), values)}"/>`,
      `<path class="law" d="${path(where((v) => within(v, range)), values)}"/>`,
      `</g>`,
      ...dots.map((dot) => `<circle class="${dot.near ? "dot" : "dot other"}" cx="${fixed(x(dot.at))}" cy="${fixed(y(dot.value))}" r="${dot.near ? 4 : 3}"/>`),
      line("good", good[0], box.bottom - 5, good[1], box.bottom - 5),
      `<path class="peak" d="M${fixed(x(peak[axis]))},${box.bottom - 12}l6,7l-6,7l-6,-7Z"/>`,
      line("here", here, box.top, here, box.bottom),
      line("whisker", here, inView(y(told.low)), here, inView(y(told.high))),
      `<circle class="chosen" cx="${fixed(here)}" cy="${fixed(inView(y(told.value)))}" r="5"/>`,
      line("axis", box.left, box.bottom, box.right, box.bottom),
      text("title", box.left, box.top - 10, "start", `at ${other} = ${held} (filled dots: ${nearest === held ? "measured there" : `${other} = ${round(nearest)}`})`),
      text("tick", (box.left + box.right) / 2, box.bottom + 34, "middle", LONG[AXES[axis]]),
    ].join("");
  }

  function fixed(x) {
    return x.toFixed(1);
  }

  function ticks([low, high]) {
    const rough = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
    const first = Math.ceil(low / step - 1e-9);
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const count = Math.floor(high / step + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, i) => (first + i) * step).map((v) => [v, v.toFixed(digits)]);
  }

  // Values with room for each other on a logarithmic axis, and the chart's ends.
  function apart(values, places, count) {
    const [low, high] = [places[0], places[places.length - 1]];
    const gap = (high / low) ** (1 / count);
    const shown = [];
    for (const value of values) if (!shown.length || value / shown[shown.length - 1] >= gap) shown.push(value);
    if (shown[0] / low >= gap) shown.unshift(low);
    if (high / shown[shown.length - 1] >= gap) shown.push(high);
    return shown;
  }

  // --- words

  function tell(now) {
    const { surface, model, place, told, top, peak, effect, ratio } = now;
    const level = `${Math.round(100 * data.level)} %`;
    const number = (x) => `<data value="${x}">${x.toFixed(4).replace("-", "−")}</data>`;
    const between = ({ low, high }) => `${number(low)} to ${number(high)}`;
    const size = (x) => `<data value="${x}">${x < 100 ? Number(x.toFixed(1)) : Math.round(x)}</data>`;
    const stretch = ([from, to]) => (from === to ? size(from) : `${size(from)} to ${size(to)}`);
    const outside = AXES.filter((_, i) => !within(place[i], model.ranges[i]));
    const edges = AXES.filter((_, i) => !(turn(model, i) > model.ranges[i][0] && turn(model, i) < model.ranges[i][1]));
    const beyond = AXES.map((axis, i) => [axis, turn(model, i), model.ranges[i]]).filter(
      ([, at, [low, high]]) => !within(at, [low, high]) && within(at, [Math.max(1, low / BEYOND), BEYOND * high]),
    );
    const lines = [
      `The law's best within what was measured: N = ${size(peak[0])}, d = ${size(peak[1])}, with ${number(top.value)} (${between(top)}).` +
        (edges.length ? ` In ${edges.join(" and in ")} that is an edge of the grid, not an optimum.` : "") +
        ` As good, as far as these data tell: N ${stretch(model.good[0])}, d ${stretch(model.good[1])}.`,
      ...beyond.map(([axis, at]) => `Beyond what was measured the law turns down at ${axis} = ${size(at)}: an extrapolation.`),
      fitted(fitOf(surface, control("law").value), surface.values.length),
      ...dataWords(effect, ratio),
    ];
    answer.innerHTML =
      `<strong>${escape(surface.metric)} ${number(told.value)}</strong> <span>${level} interval ${between(told)}</span>` +
      (outside.length ? ` <span class="explorer-warning">extrapolated in ${outside.join(" and ")}</span>` : "");
    root.classList.toggle("own", /^Perf/.test(control("law").selectedOptions[0].text));
    words.innerHTML = lines.map((line) => `<li>${line}</li>`).join("");
    clearTimeout(speaking); // read out where sliders rest
    speaking = setTimeout(() => {
      aloud.textContent = answer.textContent;
    }, 600);
  }

  function fitted([r2, hidden, state], cells) {
    const status = data.states[state];
    const errors = ["leave-one-out", "largest N hidden", "largest d hidden"].flatMap((name, i) => (hidden[i] === null ? [] : [`${name} ${hidden[i].toFixed(1)} %`]));
    return `The fit: ${cells} cells, R² ${r2.toFixed(2)}; mean error on cells not seen: ${errors.join(", ")}${status && `; ${escape(status)}`}.`;
  }

  function dataWords(effect, ratio) {
    if (effect === NO_EFFECT) return ["No sweep here changed the amount of data, so tokens and ApEn have no effect to show."];
    const percent = (slope) => `${(100 * (2 ** slope - 1)).toFixed(0).replace("-", "−")} %`;
    const lent = effect.source ? `, <strong>borrowed from ${escape(effect.source)}</strong>` : ", measured on this log";
    const far = ratio > 1 + 1e-9 ? " More data than were measured: an extrapolation." : ratio < effect.least * (1 - 1e-9) ? " Fewer data than were measured: an extrapolation." : "";
    return [
      `Twice the data: ${percent(effect.slope)} more (${percent(effect.slope - effect.reach)} to ${percent(effect.slope + effect.reach)})${lent}. ` +
        `Twice the ApEn counts as half of the tokens, as the paper has it; that is assumed here.${far}`,
    ];
  }

  function escape(text) {
    return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  }

  start();
})();
