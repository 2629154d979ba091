// Runs in the page: looks for what a reader would call broken at this width. Its value is a list of sentences.
// biome-ignore lint/nursery/noFloatingPromises: the promise is the value of this script
(async () => {
  const MAX_FAULTS = 20;
  const faults = new Set();
  const root = document.documentElement;
  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  scrollTo({ top: 0, behavior: 'instant' });
  await nextFrame();
  if (root.scrollWidth > innerWidth) faults.add(`the page is ${root.scrollWidth} px wide`);

  const nameOf = (element) => {
    const text = element.textContent.trim().replace(/\s+/g, ' ').slice(0, 40);
    const names = [element, element.parentElement].map(
      (one) => `${one.tagName.toLowerCase()}.${one.getAttribute('class') ?? ''}`,
    );
    return `“${text}” (${names.join(' in ')})`;
  };
  const remembered = (work) => {
    const known = new WeakMap();
    return (element) => {
      if (!known.has(element)) known.set(element, work(element));
      return known.get(element);
    };
  };
  // What is clipped to nothing is for screen readers only.
  const isClipped = remembered(
    (element) =>
      getComputedStyle(element).clipPath === 'inset(50%)' ||
      (element.parentElement !== null && isClipped(element.parentElement)),
  );
  const isHidden = (element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    element.closest('.skip, option') !== null ||
    isClipped(element);
  // The boxes around an element that cut what sticks out of them.
  const cuttersOf = remembered((element) => {
    if (element === document.body) return [];
    const { overflowX, overflowY } = getComputedStyle(element);
    const own =
      overflowX === 'visible'
        ? []
        : [
            {
              element,
              bounds: element.getBoundingClientRect(),
              scrollsDown: overflowY === 'auto' || overflowY === 'scroll',
            },
          ];
    return [...own, ...cuttersOf(element.parentElement)];
  });

  // The lines of text that can be seen or scrolled to. Positions are those of the page scrolled to its top.
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || isHidden(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const [index, rect] of [...range.getClientRects()].entries()) {
      const rectNow = () => range.getClientRects()[index];
      if (rect.width >= 1) lines.push({ element, rect, rectNow, what: 'the text' });
    }
  }

  // Text that leaves the window or that a box cuts, but for a box in which one can scroll down to it.
  const inSight = ({ element, rect, what }) => {
    const say = (fault) => faults.add(`${what} ${nameOf(element)} ${fault}`);
    if (rect.left < -1 || rect.right > innerWidth + 1) say('leaves the window');
    return cuttersOf(element).every(({ element: box, bounds, scrollsDown }) => {
      if (rect.left < bounds.left - 1 || rect.right > bounds.right + 1) {
        say(`is cut by ${nameOf(box)}`);
      }
      const isOut = rect.bottom > bounds.bottom + 2 || rect.top < bounds.top - 2;
      if (isOut && !scrollsDown) say(`is cut at its height by ${nameOf(box)}`);
      return !isOut;
    });
  };
  const targets = lines.filter(inSight);
  for (const table of document.querySelectorAll('.table')) {
    if (table.scrollWidth > table.clientWidth + 1) {
      faults.add(`the table ${table.firstElementChild.ariaLabel} is wider than its panel`);
    }
  }

  // Text and controls that something else covers, screen by screen.
  for (const element of document.querySelectorAll('a, button, select, input, textarea, summary')) {
    if (isHidden(element)) continue;
    const rectNow = () => element.getBoundingClientRect();
    const control = { element, rect: rectNow(), rectNow, what: 'the control' };
    if (inSight(control)) targets.push(control);
  }
  const isOf = (hit, element) =>
    element.contains(hit) || hit.contains(element) || hit.closest('label') !== null;
  // The page goes on while it is looked at: each place is read again right before it is tested.
  const isCutNow = (element, y) =>
    cuttersOf(element).some(({ element: box }) => {
      const { top, bottom } = box.getBoundingClientRect();
      return y < top || y > bottom;
    });
  // What is kept in view may be on every screen; the rest is looked for around its place, as thousands of labels have many screens.
  const isKeptInView = remembered(
    (element) =>
      ['fixed', 'sticky'].includes(getComputedStyle(element).position) ||
      (element.parentElement !== null && isKeptInView(element.parentElement)),
  );
  const isNear = ({ element, rect }, top) =>
    isKeptInView(element) || (rect.bottom > top - innerHeight && rect.top < top + 2 * innerHeight);
  for (let top = 0; top < root.scrollHeight && faults.size < MAX_FAULTS; top += innerHeight) {
    scrollTo({ top, behavior: 'instant' });
    await nextFrame();
    for (const { element, rectNow, what } of targets.filter((target) => isNear(target, top))) {
      const rect = element.isConnected ? rectNow() : undefined;
      if (rect === undefined || rect.width < 1) continue;
      const y = rect.top + rect.height / 2;
      if (y < 0 || y > innerHeight - 1 || isCutNow(element, y)) continue;
      const hit = document.elementFromPoint(rect.left + rect.width / 2, y);
      if (hit === null || isOf(hit, element)) continue;
      faults.add(`${what} ${nameOf(element)} is covered by ${nameOf(hit)}`);
    }
  }
  scrollTo({ top: 0, behavior: 'instant' });
  return [...faults].slice(0, MAX_FAULTS);
})();
