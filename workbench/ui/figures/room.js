// What the room needs of the page itself; started by an animation that every view of it plays once, with `start` its
// element and `terms` what the terms of the field mean. It keeps keys that are pressed in the room from JupyterLab, gives figures and sliders names that a screen
// reader can say and terms their meaning, lets every figure and table be saved, copied or read as a table, fills the screen on demand, and says
// so when the kernel is gone. Text from data is only ever set as text. (In a handler `URL` is that of the document.)
const room = start.closest('.wb');
if (!room || room.wbReady) return;
room.wbReady = true;
room.addEventListener('focusin', event => event.target.setAttribute('data-lm-suppress-shortcuts', 'true'));
room.setAttribute('role', 'region');
room.setAttribute('aria-label', 'Workbench');
const full = start.querySelector('.wb-full');
full.onclick = () => document.fullscreenElement ? document.exitFullscreen() : room.requestFullscreen();

const make = (tag, parts = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), parts);
  made.append(...inside);
  return made;
};
const WORDS = {observed: 'observed', individual: 'individual', population: 'typical', dose: 'dose', pooled: 'pooled', alone: 'alone',
  selected: 'selected', band: 'band', ink: 'middle', soft: 'smooth'};
const short = value => Number.isFinite(value) ? String(+value.toPrecision(4)) : String(value ?? '');

// ---- what a figure shows, read off what it is drawn from -----------------------------------------------------------
const titles = figure => [...figure.querySelectorAll('.axislabel')].map(one => one.textContent.trim());
const title = figure => {
  const part = figure.closest('.wb-figure, .wb-tile, .wb-panel');
  const own = part?.dataset?.said || part?.querySelector('h4, .wb-tile-name')?.textContent;
  const [x, y] = titles(figure);
  const caption = figure.closest('.wb-individual')?.querySelector('.wb-corner .widget-html-content')?.textContent;
  const axes = [y, x].filter(Boolean).join(' over ') || caption;
  return [own, axes].filter(Boolean).join(': ') || 'figure';
};
const shown = one => !one.closest('[style*="display: none"]') && one.getClientRects().length > 0;
const contents = figure => {
  const back = ['x', 'y'].map(side => figure.classList.contains('wb-log-' + side) ? v => 10 ** v : v => v);
  const kind = one => {
    const style = one?.getAttribute('style') || '';
    const name = /--wb-(\w+)/.exec((/stroke: none|fill: var/.test(style) ? /fill: [^;]*/.exec(style)?.[0] : '') || style);
    return name ? WORDS[name[1]] || name[1] : 'shown';
  };
  const rows = [];
  for (const group of figure.querySelectorAll('.object_grp')) {
    const point = group.__data__, drawn = group.querySelector('path');
    if (point && drawn && shown(drawn)) {
      const said = /^Dot\d+$/.test(point.name ?? '') ? '' : point.name ?? '';
      rows.push([kind(drawn), back[0](point.x), back[1](point.y), said]);
    }
  }
  const points = rows.length, lines = new Set();
  for (const line of figure.querySelectorAll('path.line')) {
    if (!shown(line) || parseFloat(line.style.strokeWidth) === 0) continue;
    lines.add(kind(line));
    for (const at of line.__data__?.values ?? []) {
      if (Number.isFinite(at.y) && Number.isFinite(at.x)) rows.push([kind(line) + ' line', back[0](at.x), back[1](at.y), '']);
    }
  }
  return {rows, points, lines: [...lines]};
};
const sentence = figure => {
  const {rows, points, lines} = contents(figure);
  const range = k => {
    const values = rows.slice(0, points || rows.length).map(row => row[k]).filter(Number.isFinite);
    return values.length ? short(Math.min(...values)) + ' to ' + short(Math.max(...values)) : '';
  };
  const parts = [points && points + ' point' + (points > 1 ? 's' : ''), lines.length && 'lines: ' + lines.join(', ')];
  const what = parts.filter(Boolean).join('; ') || 'nothing drawn yet';
  return title(figure) + '. ' + what + (rows.length ? '; x ' + range(1) + ', y ' + range(2) : '') + '.';
};
const tableOf = target => {
  if (target.matches('.bqplot')) {
    const [y, x] = title(target).split(': ').pop().split(' over ');
    return [['what', x || 'x', y || 'y', 'point'], ...contents(target).rows.map(row => row.map(one =>
      typeof one === 'number' ? +one.toPrecision(7) : one))];
  }
  return [...target.querySelectorAll('tr')].map(line => [...line.children].map(one => one.textContent.trim()));
};

// ---- taking it along -----------------------------------------------------------------------------------------------
const quoted = one => /[",\n]/.test(one) ? '"' + one.replaceAll('"', '""') + '"' : one;
const separated = (rows, by) => rows.map(row => row.map(one => by === ',' ? quoted(String(one)) : String(one)).join(by)).join('\n');
const name = target => (title(target).replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || 'workbench').slice(0, 60);
const KEPT = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-opacity', 'opacity', 'font-size',
  'font-family', 'font-weight', 'text-anchor', 'display', 'visibility'];
const SVG = 'http://www.w3.org/2000/svg';
const plain = svg => {
  const copy = svg.cloneNode(true);
  const from = [svg, ...svg.querySelectorAll('*')], to = [copy, ...copy.querySelectorAll('*')];
  from.forEach((one, k) => {
    const style = getComputedStyle(one);
    to[k].setAttribute('style', KEPT.map(key => key + ':' + style.getPropertyValue(key)).join(';'));
    to[k].removeAttribute('class');
  });
  return copy;
};
const drawing = target => {
  const {width, height} = target.getBoundingClientRect(), whole = document.createElementNS(SVG, 'svg');
  const ground = document.createElementNS(SVG, 'rect'), fill = getComputedStyle(room).backgroundColor;
  for (const [one, parts] of [[whole, {width, height, xmlns: SVG}], [ground, {width, height, fill}]]) {
    Object.entries(parts).forEach(pair => one.setAttribute(...pair));
  }
  whole.append(ground, ...[...target.querySelectorAll(':scope > svg')].map(plain));
  return {text: new XMLSerializer().serializeToString(whole), width, height};
};
const picture = async target => {
  const {text, width, height} = drawing(target);
  const image = new Image();
  image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(text);
  await image.decode();
  const canvas = make('canvas', {width: 2 * width, height: 2 * height});
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise(resolve => canvas.toBlob(resolve, 'image/png'));
};
const save = (content, type, file) => {
  const link = make('a', {href: window.URL.createObjectURL(content instanceof Blob ? content : new Blob([content], {type})), download: file});
  link.click();
  setTimeout(() => window.URL.revokeObjectURL(link.href), 1000);
};
const twin = target => {
  const place = target.matches('.bqplot') ? target : target.parentElement, there = place.nextElementSibling;
  if (there?.matches('.wb-twin')) return there.remove();
  const [head, ...rows] = tableOf(target);
  const line = (row, kind) => make('tr', {}, ...row.map(one => make(kind, {textContent: typeof one === 'number' ? short(one) : one})));
  const table = make('table', {className: 'wb-table'}, make('caption', {textContent: sentence(target)}),
    make('thead', {}, line(head, 'th')), make('tbody', {}, ...rows.slice(0, 400).map(row => line(row, 'td'))));
  const box = make('div', {className: 'wb-twin', tabIndex: 0}, table);
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', title(target) + ', as a table');
  const at = place.getBoundingClientRect(), around = room.getBoundingClientRect();
  box.style[at.left + at.right < around.left + around.right ? 'left' : 'right'] = 0;
  place.after(box);
  box.focus();
  box.addEventListener('keydown', event => { if (event.key === 'Escape') box.remove(); });
};
const acts = {
  SVG: target => save(drawing(target).text, 'image/svg+xml', name(target) + '.svg'),
  PNG: async target => save(await picture(target), 'image/png', name(target) + '.png'),
  CSV: target => save(separated(tableOf(target), ','), 'text/csv', name(target) + '.csv'),
  copy: async target => {
    if (!target.matches('.bqplot')) return navigator.clipboard.writeText(separated(tableOf(target), '\t'));
    return navigator.clipboard.write([new ClipboardItem({'image/png': picture(target)})]);
  },
  table: twin,
};
const menu = (target, names) => {
  const list = make('div', {className: 'wb-take-list'}, ...names.map(act => make('button', {type: 'button', textContent: act,
    onclick: async event => {
      event.stopPropagation();
      try { await acts[act](target); event.target.textContent = act === 'copy' ? 'copied' : act; }
      catch (error) { event.target.textContent = act + ' failed'; }
      setTimeout(() => { event.target.textContent = act; }, 1500);
    }})));
  const box = make('details', {className: 'wb-take'}, make('summary', {title: 'save, copy, or read as a table', textContent: '⤓'}), list);
  box.querySelector('summary').setAttribute('aria-label', 'save or copy ' + title(target));
  box.addEventListener('keydown', event => { if (event.key === 'Escape') { box.open = false; box.querySelector('summary').focus(); } });
  box.addEventListener('mouseleave', () => { box.open = false; });
  return box;
};

// ---- names, and menus, for what comes ------------------------------------------------------------------------------
const visit = () => {
  for (const figure of room.querySelectorAll('.bqplot')) {
    const svg = figure.querySelector(':scope > svg.svg-figure') || figure.querySelector(':scope > svg');
    if (!svg) continue;
    figure.querySelector(':scope > svg.svg-background')?.setAttribute('aria-hidden', 'true');
    const own = figure.closest('.wb-figure')?.querySelector('.wb-numbers-tool');  // it gives its numbers itself
    const missing = own ? ['SVG', 'PNG', 'copy'] : ['SVG', 'PNG', 'CSV', 'copy', 'table'];
    if (!figure.querySelector(':scope > .wb-take')) figure.append(menu(figure, missing));
    svg.setAttribute('role', 'img');
    if (figure.getClientRects().length) svg.setAttribute('aria-label', sentence(figure));
    else if (!svg.hasAttribute('aria-label')) svg.setAttribute('aria-label', title(figure));
  }
  for (const scroll of room.querySelectorAll('.wb-scroll')) {
    if (scroll.querySelector('.wb-table tbody tr') && !scroll.querySelector(':scope > .wb-take')) {
      scroll.prepend(menu(scroll, ['CSV', 'copy']));
    }
  }
  for (const handle of room.querySelectorAll('.noUi-handle:not([aria-label])')) {
    const label = handle.closest('.widget-slider')?.querySelector('.widget-label');
    handle.setAttribute('aria-label', label?.textContent || 'slider');
  }
  for (const one of room.querySelectorAll(NAMED)) {
    const meaning = terms[one.textContent.trim()];
    if (meaning && !one.title) one.title = meaning;
  }
  for (const code of room.querySelectorAll('pre[aria-label]:not([role])')) code.setAttribute('role', 'region');
};
const NAMED = 'th, h4, .widget-label, .wb-kpi span, .wb-legend span, .wb-key, .wb-run span, .wb-note .widget-html-content';
let asked = false;
new MutationObserver(() => {
  if (asked) return;
  asked = true;
  setTimeout(() => { visit(); setTimeout(() => { asked = false; }, 0); }, 400);
}).observe(room, {subtree: true, childList: true});
visit();
