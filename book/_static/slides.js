// Shows a lecture's page as slides: each section of the second level is one. No library, no network.
(() => {
  const article = document.querySelector("article");
  const button = document.querySelector(".slides-button");
  if (!article || !button) return;
  const slides = [...article.querySelectorAll(":scope > section > section")];
  const root = document.documentElement;
  let place = 0;

  function show(next) {
    place = Math.max(0, Math.min(slides.length - 1, next));
    slides.forEach((slide, i) => slide.classList.toggle("shown", i === place));
    button.textContent = `${place + 1} of ${slides.length}: leave the slides`;
  }

  function toggle() {
    const on = root.classList.toggle("slides");
    if (on) show(place);
    else button.textContent = "Show as slides";
  }

  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    if (!root.classList.contains("slides")) return;
    const step = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (event.key === "Escape") toggle();
    else if (step) show(place + step);
    else return;
    event.preventDefault();
  }, true);
  button.hidden = false;
  if (location.search.includes("slides")) toggle();
})();
