// Runs in the page: looks for what a reader would call broken at this width. The value is a list of sentences.
// biome-ignore lint/nursery/noFloatingPromises: the promise is the value of this script, which the test awaits.
(async () => {
  const MAX_FAULTS = 20;
  const faults = new Set();
  const say = (fault) => faults.add(fault);
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) say(`the page is ${root.scrollWidth} px wide`);

  const nameOf = (element) => {
    const text = element.textContent.trim().replace(/\s+/g, ' ').slice(0, 40);
    const names = [element, element.parentElement].map(
      (one) => `${one.tagName.toLowerCase()}.${one.getAttribute('class') ?? ''}`,
    );
    return `“${text}” (${names.join(' in ')})`;
  };
  // What is clipped to nothing is for screen readers only.
  const isClipped = (element) =>
    element !== null &&
    (getComputedStyle(element).clipPath === 'inset(50%)' || isClipped(element.parentElement));
  const isHidden = (element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    element.closest('.skip, option') !== null ||
    isClipped(element);

  // The pieces of text that can be seen, line by line.
  const pieces = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || isHidden(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    pieces.push({ element, range });
  }

  // Text that its box, or the window, cuts on the left or right, or cuts below where nothing scrolls.
  const scrolls = (value) => value === 'auto' || value === 'scroll';
  for (const { element, range } of pieces) {
    for (const rect of range.getClientRects()) {
      if (rect.width < 1) continue;
      if (rect.left < -1 || rect.right > innerWidth + 1)
        say(`${nameOf(element)} leaves the window`);
      for (let box = element; box !== document.body && box !== null; box = box.parentElement) {
        const { overflowX, overflowY, position } = getComputedStyle(box);
        if (overflowX !== 'visible' && overflowX !== 'clip') {
          const bounds = box.getBoundingClientRect();
          const isOut = rect.left < bounds.left - 1 || rect.right > bounds.right + 1;
          if (isOut) say(`${nameOf(element)} is cut by .${box.className}`);
          const isBelow = rect.bottom > bounds.bottom + 2 || rect.top < bounds.top - 2;
          if (isBelow && !scrolls(overflowY))
            say(`${nameOf(element)} is cut below by .${box.className}`);
        }
        if (position === 'fixed') break;
      }
    }
  }
  for (const table of document.querySelectorAll('.table')) {
    if (table.scrollWidth > table.clientWidth + 1) {
      say(
        `the table ${table.firstElementChild.getAttribute('aria-label')} is wider than its panel`,
      );
    }
  }

  // Text, and things to click, that something else covers. Looked at screen by screen.
  const visibleIn = (rect, element) => {
    for (let box = element; box !== null; box = box.parentElement) {
      const { overflowY } = getComputedStyle(box);
      if (overflowY === 'visible' || box === document.body || box === root) continue;
      const bounds = box.getBoundingClientRect();
      if (rect.bottom > bounds.bottom || rect.top < bounds.top) return false;
    }
    return true;
  };
  const isOf = (hit, element) =>
    hit !== null &&
    (element.contains(hit) || hit.contains(element) || hit.closest('label') !== null);
  const controls = [...document.querySelectorAll('a, button, select, input, textarea, summary')];
  const screens = Math.ceil(root.scrollHeight / innerHeight);
  for (let screen = 0; screen < screens && faults.size < MAX_FAULTS; screen += 1) {
    scrollTo({ top: screen * innerHeight, behavior: 'instant' });
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const covers = (rect, element, what) => {
      const [x, y] = [rect.left + rect.width / 2, rect.top + rect.height / 2];
      if (rect.width < 1 || y < 0 || y > innerHeight - 1 || x < 0 || x > innerWidth - 1) return;
      if (!visibleIn(rect, element)) return;
      const hit = document.elementFromPoint(x, y);
      if (!isOf(hit, element))
        say(`${what} ${nameOf(element)} is covered by ${hit && nameOf(hit)}`);
    };
    for (const { element, range } of pieces) {
      if (!element.isConnected) continue;
      if (getComputedStyle(element).pointerEvents === 'none') continue;
      for (const rect of range.getClientRects()) covers(rect, element, 'the text');
    }
    for (const control of controls) {
      if (!control.isConnected || isHidden(control)) continue;
      covers(control.getBoundingClientRect(), control, 'the control');
    }
  }
  scrollTo({ top: 0, behavior: 'instant' });
  return [...faults].slice(0, MAX_FAULTS);
})();
