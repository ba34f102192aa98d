// What the page shows beyond the screen or beyond a box that hides it, and each control that something lies over.

() => {
  // These may be scrolled sideways by hand; anything else that is wider than its place is cut.
  const SIDEWAYS = ".health, .tabs, .patients ul, pre";
  const AXES = [["X", "left", "right"], ["Y", "top", "bottom"]];

  const styleOf = (element) => getComputedStyle(element);
  const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const isDrawing = (element) => element.closest(".hidden, .lanes"); // the lanes clip their bars to the axis
  const nameOf = (element) => {
    const text = (element.getAttribute("aria-label") ?? element.textContent).trim().slice(0, 40);
    return `${element.tagName.toLowerCase()}.${element.className.baseVal ?? element.className} “${text}”`;
  };
  const scrolls = (box, axis) =>
    /auto|scroll/.test(styleOf(box)[`overflow${axis}`]) && (axis === "Y" || box.matches(SIDEWAYS));
  const boxesOf = (element) => {
    const found = [];
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      if (box !== element) found.push(box);
      if (styleOf(box).position === "fixed" || box.matches("dialog")) break; // it lies on the screen itself
    }
    return found;
  };

  function isOutside(element, [axis, start, end]) {
    let { [start]: from, [end]: to } = element.getBoundingClientRect();
    for (const box of boxesOf(element)) {
      const { [start]: low, [end]: high } = box.getBoundingClientRect();
      if (scrolls(box, axis)) {
        if (from < low - box[axis === "X" ? "scrollLeft" : "scrollTop"] - 1) return true; // before where one can scroll
        [from, to] = [low, high];
      } else if (styleOf(box).overflow !== "visible" && (from < low - 1 || to > high + 1)) return true;
    }
    return from < -1 || to > (axis === "X" ? innerWidth : innerHeight) + 1;
  }

  function coverOf(element) {
    const { x, y, width, height } = element.getBoundingClientRect();
    const [middleX, middleY] = [x + width / 2, y + height / 2];
    const isInView = boxesOf(element).filter((box) => styleOf(box).overflow !== "visible").every((box) => {
      const { left, right, top, bottom } = box.getBoundingClientRect();
      return middleX > left && middleX < right && middleY > top && middleY < bottom;
    });
    const over = isInView ? document.elementFromPoint(middleX, middleY) : null;
    return over && !element.contains(over) && !over.contains(element) ? over : null;
  }

  const controls = [...document.querySelectorAll("button, input, select, textarea, a[href], summary")]
    .filter((element) => isSeen(element) && !isDrawing(element));
  const texts = [...document.querySelectorAll("p, h1, h2, h3, dt, dd, li, label, .tag, .banner, header, footer, form")]
    .filter((element) => isSeen(element) && !isDrawing(element));
  const top = document.querySelector("dialog[open]")
    ?? [...document.querySelectorAll(".compose")].find((element) => styleOf(element).position === "fixed") ?? document;
  return [
    ...[...controls, ...texts].filter((element) => AXES.some((axis) => isOutside(element, axis)))
      .map((element) => `outside: ${nameOf(element)}`),
    ...controls.filter((element) => top.contains(element)).map((element) => [element, coverOf(element)])
      .filter(([, over]) => over).map(([element, over]) => `${nameOf(element)} lies under ${nameOf(over)}`),
  ];
}
