"""What runs in the browser: the map on a canvas, the cell under the cursor, ticks.

A /16 has 4,096 cells: as elements they would make each update slow. Each cell's owners are
written into one line of text, for the mouse and for the arrow keys.
"""

SCRIPT = r"""
(() => {
const GAP = 1;
let map = null;

const colour = (host, name) => {
  const probe = host.appendChild(document.createElement('i'));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found.match(/[\d.]+/g).slice(0, 3).map(Number);
};
const rgb = parts => `rgb(${parts.map(Math.round).join(',')})`;
const between = (from, to, share) => from.map((each, at) => each + (to[at] - each) * share);
const light = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue > 140;

class Map_ {
  constructor(host) {
    this.host = host;
    this.canvas = host.querySelector('canvas');
    this.data = JSON.parse(host.dataset.map);
    this.at = -1;
    this.freed = new Set();
    this.advised = null;
    this.line = host.parentElement.querySelector('.cell');
    host.addEventListener('mousemove', event => this.show(this.under(event)));
    host.addEventListener('click', event => this.show(this.under(event)));
    host.addEventListener('focus', () => this.at < 0 && this.show(0));
    host.addEventListener('keydown', event => this.key(event));
    new ResizeObserver(() => this.draw()).observe(host);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    new MutationObserver(() => this.draw())
      .observe(document.documentElement, {attributeFilter: ['data-theme']});
  }

  get n() { return this.data.states.length; }

  draw() {
    const width = this.host.clientWidth;
    if (!width) return;
    const columns = this.n < 128 ? 16 : this.n < 1024 || width < 600 ? 32 : 64;
    this.columns = Math.min(columns, this.n);
    this.cell = Math.min(width / this.columns, 40);
    const rows = Math.ceil(this.n / this.columns), scale = devicePixelRatio || 1;
    const height = Math.ceil(rows * this.cell);
    this.canvas.width = Math.round(this.cell * this.columns * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${this.cell * this.columns}px`;
    this.canvas.style.height = `${height}px`;
    this.scale = scale;
    this.base = document.createElement('canvas');
    [this.base.width, this.base.height] = [this.canvas.width, this.canvas.height];
    const ink = this.base.getContext('2d');
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    const names = ['used-0', 'used-1', 'used-16', 'held', 'aws', 'kept', 'line', 'outline',
      'good', 'ink'];
    const of = Object.fromEntries(names.map(name => [name, colour(this.host, name)]));
    const fills = {'aws-reserved': of.aws, 'prefix-allocated': of.held,
      'prefix-reserved': of.kept, 'explicit-reserved': of.kept};
    ink.font = `${Math.min(Math.floor(this.cell * 0.68), 14)}px ui-monospace, monospace`;
    ink.textAlign = 'center';
    ink.textBaseline = 'middle';
    for (let block = 0; block < this.n; block++) {
      const name = this.data.names[this.data.states[block]], used = this.data.used[block];
      const freed = this.freed.has(block);
      const fill = freed || !used ? of['used-0']
        : between(of['used-1'], of['used-16'], (used - 1) / 15);
      const shown = freed ? fill : fills[name] || fill;
      const [left, top] = this.corner(block);
      ink.fillStyle = rgb(of.line);
      ink.fillRect(left, top, this.cell, this.cell);
      ink.fillStyle = rgb(shown);
      ink.fillRect(left, top, this.cell - GAP, this.cell - GAP);
      ink.fillStyle = freed ? rgb(of.good) : light(shown) ? '#1a1a1a' : '#fff';
      const mark = freed ? '\u2713' : name === 'fragmented' ? used.toString(16)
        : this.data.marks[this.data.states[block]];
      if (this.cell >= 9)
        ink.fillText(mark, left + (this.cell - GAP) / 2, top + this.cell / 2);
    }
    for (const block of this.freed) this.box(ink, block, of.good, 2);
    for (const [from, to] of this.data.reservations) this.outline(ink, from, to, of.outline, []);
    if (this.advised) this.outline(ink, ...this.advised, of.outline, [5, 4]);
    this.ink = of.ink;
    this.point();
    this.host.dataset.drawn = String(this.n);
  }

  point() {
    const ink = this.canvas.getContext('2d');
    ink.setTransform(1, 0, 0, 1, 0, 0);
    ink.clearRect(0, 0, this.canvas.width, this.canvas.height);
    ink.drawImage(this.base, 0, 0);
    ink.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    if (this.at >= 0) this.box(ink, this.at, this.ink, 2);
  }

  corner(block) {
    return [block % this.columns * this.cell, Math.floor(block / this.columns) * this.cell];
  }

  box(ink, block, parts, width) {
    const [left, top] = this.corner(block);
    ink.setLineDash([]);
    ink.strokeStyle = rgb(parts);
    ink.lineWidth = width;
    ink.strokeRect(left + 1, top + 1, this.cell - GAP - 2, this.cell - GAP - 2);
  }

  outline(ink, from, to, parts, dash) {
    ink.setLineDash(dash);
    ink.strokeStyle = rgb(parts);
    ink.lineWidth = 2.5;
    const inside = block => block >= from && block < to;
    ink.beginPath();
    for (let block = from; block < to; block++) {
      const [left, top] = this.corner(block), right = left + this.cell, low = top + this.cell;
      const column = block % this.columns;
      const edge = (is, fromX, fromY, toX, toY) => {
        if (is) { ink.moveTo(fromX, fromY); ink.lineTo(toX, toY); }
      };
      edge(!inside(block - this.columns), left, top + 1, right, top + 1);
      edge(!inside(block + this.columns), left, low - 2, right, low - 2);
      edge(column === 0 || !inside(block - 1), left + 1, top, left + 1, low);
      edge(column === this.columns - 1 || !inside(block + 1), right - 2, top, right - 2, low);
    }
    ink.stroke();
  }

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.cell);
    const block = Math.floor((event.clientY - box.top) / this.cell) * this.columns + column;
    return column >= 0 && column < this.columns && block < this.n ? block : -1;
  }

  key(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -8 * this.columns, PageDown: 8 * this.columns, Home: -this.n, End: this.n}[event.key];
    if (!step) return;
    event.preventDefault();
    this.show(Math.max(0, Math.min(this.n - 1, this.at + step)));
    const box = this.canvas.getBoundingClientRect(), top = box.top + this.corner(this.at)[1];
    if (top < 80) scrollBy(0, top - 80);
    else if (top + this.cell > innerHeight) scrollBy(0, top + this.cell - innerHeight + 8);
  }

  show(block) {
    if (block < 0 || block === this.at) return;
    this.at = block;
    this.line.textContent = this.text(block);
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.point());
  }

  text(block) {
    const {cidr, names, states, used, words, starts, held, holders, reservations} = this.data;
    const [address] = cidr.split('/');
    const base = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + block * 16;
    const start = [24, 16, 8, 0].map(bits => Math.floor(base / 2 ** bits) % 256).join('.');
    const who = [];
    for (let pair = starts[block]; pair < starts[block + 1]; pair++)
      who.push(`${holders[held[2 * pair]]}: ${held[2 * pair + 1]}`);
    const parts = [`${start}/28`, names[states[block]], `${used[block]} ${words.of_16}`];
    for (const [from, to, name] of reservations)
      if (block >= from && block < to) parts.push(`${words.reservation}: ${name}`);
    if (this.freed.has(block)) parts.push(words.freed);
    return `${parts.join(' \u00b7 ')} \u00b7 ${who.join(', ') || words.nobody}`;
  }
}

const parse = text => { try { return JSON.parse(text); } catch { return null; } };
const look = () => {
  const host = document.querySelector('[data-map]');
  if (!host) { map = null; return; }
  if (!map || map.host !== host || map.raw !== host.dataset.map) {
    map = new Map_(host);
    map.raw = host.dataset.map;
    map.draw();
  }
  const freed = document.querySelector('[data-freed]')?.dataset.freed || '[]';
  const advice = document.querySelector('[data-advice]')?.dataset.advice || '{}';
  if (map.seen === freed + advice) return;
  map.seen = freed + advice;
  map.freed = new Set(parse(freed));
  map.advised = parse(advice).reservation || null;
  map.host.parentElement.classList.toggle('has-freed', map.freed.size > 0);
  map.host.parentElement.classList.toggle('has-advised', Boolean(map.advised));
  const button = document.querySelector('[data-tick=advised]');
  if (button) button.disabled = !(parse(advice).nodes || []).length;
  map.draw();
};
new MutationObserver(look).observe(document.documentElement, {childList: true, subtree: true,
  attributes: true, attributeFilter: ['data-map', 'data-freed', 'data-advice']});
document.addEventListener('click', event => {
  const button = event.target.closest('[data-tick]');
  if (!button) return;
  const advice = parse(document.querySelector('[data-advice]')?.dataset.advice || '{}');
  const wanted = new Set(button.dataset.tick === 'advised' ? advice.nodes || [] : []);
  const boxes = [...document.querySelectorAll('input[name=node]')];
  for (const box of boxes) box.checked = wanted.has(box.value);
  if (boxes.length) boxes[0].dispatchEvent(new Event('change', {bubbles: true}));
});
})();
"""
TICKED = """event => {
  if (event.target.name === 'node')
    emit([...document.querySelectorAll('input[name=node]:checked')].map(box => box.value));
}"""
"""What the nodes' form sends when one is ticked: those that are."""
