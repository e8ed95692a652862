// One term of the law, drawn as its sliders say. No library, no network.
(() => {
  const root = document.querySelector(".law-term");
  if (!root) return;
  const [exponent, divisor] = root.querySelectorAll("input");
  const path = root.querySelector("path");
  const dot = root.querySelector("circle");
  const words = root.querySelector("[role=status]");
  const [width, height, margin] = [480, 220, 24];
  const [left, right] = [0, Math.log(256)];

  function draw() {
    const p = Number(exponent.value);
    const k = Number(divisor.value);
    const term = (logX) => -Math.exp(-p * logX) / k - p * logX;
    const logs = Array.from({ length: 200 }, (_, i) => left + ((right - left) * i) / 199);
    const values = logs.map(term);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const across = (logX) => margin + ((width - 2 * margin) * (logX - left)) / (right - left);
    const up = (value) => height - margin - ((height - 2 * margin) * (value - low)) / (high - low || 1);
    path.setAttribute("d", logs.map((x, i) => `${i ? "L" : "M"}${across(x).toFixed(1)},${up(values[i]).toFixed(1)}`).join(""));
    const turn = -Math.log(k) / p;
    const inside = turn > left && turn < right;
    dot.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) {
      dot.setAttribute("cx", across(turn).toFixed(1));
      dot.setAttribute("cy", up(term(turn)).toFixed(1));
    }
    root.querySelectorAll("output").forEach((box, i) => { box.textContent = [p, k][i].toFixed(2); });
    words.textContent = inside
      ? `The term turns at x* = ${Math.exp(turn).toFixed(1)}.`
      : "The term does not turn between x = 1 and x = 256.";
  }

  exponent.addEventListener("input", draw);
  divisor.addEventListener("input", draw);
  draw();
})();
