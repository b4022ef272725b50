// The time line of a node: what the server sent of a film, drawn as it is moved.
// Texts of a film are only ever set as text, never as markup.
(() => {
  'use strict';
  const STATES = {h: 'held', c: 'cooling', f: 'free', n: 'unused'};
  const NUMBERS = ['running', 'waiting', 'enis', 'total', 'assigned', 'free', 'cooling', 'calls'];
  const WHOLE = {  // figures of a whole film
    most_waiting: frames => Math.max(...frames.map(each => each.n[1])),
    waited: frames => frames.slice(1).reduce((sum, each, n) =>
      sum + frames[n].n[1] * (each.t - frames[n].t), 0),
    all_calls: frames => frames.at(-1).sum,
  };
  const HEIGHT = 170, TOP = 8, FLOOR = 150, LEFT = 34, RIGHT = 8, APART = 110;
  let width = 720, films = [], words = {}, link = null, chosen = 0, at = 0, timer = 0, rows = new Map();

  const $ = id => document.getElementById(id);
  const make = (tag, attributes = {}, text = null) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== null) made.textContent = text;
    return made;
  };
  const film = () => films[chosen];
  const seconds = time => `${+time.toFixed(1)} s`;
  const happens = frame => frame.what || words.check;

  // --- the chart --------------------------------------------------------------------------

  const x = n => LEFT + n / Math.max(film().frames.length, 1) * (width - LEFT - RIGHT);
  const chart = () => {
    const frames = film().frames;
    width = Math.max($('chart').clientWidth, 200);
    const large = frames.some(frame => typeof frame.n[3] === 'string');
    const counts = frames.map(({n: [running, waiting, , total, assigned, free, cooling]}) =>
      large ? [assigned, assigned, assigned, running + waiting]
            : [assigned, assigned + cooling, assigned + free, running + waiting]);
    const most = Math.max(1, ...counts.map(each => Math.max(...each)));
    const y = count => FLOOR - count / most * (FLOOR - TOP);
    const line = part => counts.map((each, n) =>
      `${n ? 'L' : 'M'}${x(n)},${y(each[part])}H${x(n + 1)}`).join('');
    const back = part => counts.map((each, n) =>
      `L${x(n + 1)},${y(each[part])}H${x(n)}`).reverse().join('');
    const area = (name, upper, lower) =>
      `<path class="${name}" d="${line(upper)}${lower === null
        ? `V${FLOOR}H${x(0)}` : back(lower)}Z"/>`;
    const ticks = [0, most / 2, most].map(Math.round).map(count =>
      `<path class="grid" d="M${LEFT},${y(count)}H${width - RIGHT}"/>` +
      `<text class="end" x="${LEFT - 6}" y="${y(count) + 4}">${count}</text>`).join('');
    const step = Math.max(1, Math.ceil(frames.length * APART / width));
    const times = frames.map((frame, n) => n % step ? '' :
      `<text x="${x(n)}" y="${HEIGHT - 3}">${seconds(frame.t)}</text>`).join('');
    const dots = frames.map((frame, n) => frame.calls.length === 0 ? '' :
      `<circle class="ec2" cx="${(x(n) + x(n + 1)) / 2}" cy="${FLOOR}" r="2.5"/>`).join('');
    $('chart').innerHTML =
      `<svg viewBox="0 0 ${width} ${HEIGHT}" aria-hidden="true"><defs><pattern id="hatch" ` +
      'width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
      '<rect class="stripe" width="2.4" height="5"/></pattern></defs>' + ticks +
      area('free', 2, 1) + area('cooling', 1, 0) + area('held', 0, null) +
      `<path class="pods" d="${line(3)}"/>${dots}${times}` +
      `<rect class="cursor" y="${TOP - 6}" height="${FLOOR - TOP + 6}"/></svg>`;
    // The thumb of the range is below its moment.
    const half = (x(1) - x(0)) / 2, thumb = 8;
    $('time').style.marginLeft = `${LEFT + half - thumb}px`;
    $('time').style.width = `${Math.max(x(frames.length - 1) - x(0) + 2 * thumb, 2 * thumb)}px`;
  };

  const cursor = () => {
    const mark = document.querySelector('#chart .cursor');
    mark.setAttribute('x', x(at));
    mark.setAttribute('width', Math.max(x(at + 1) - x(at), 2));
  };

  // --- the ENIs ---------------------------------------------------------------------------

  const cellsOf = look => {
    const [, , , , , most, slots] = look;
    const cells = slots.map(([cidr, addresses]) => [cidr, addresses.map(
      ([address, state, pod, until]) => ({address, state, pod, until}))]);
    for (let n = slots.length; n < most; n++) cells.push([null, [{state: 'n'}]]);
    return cells;
  };
  const said = (cell, cidr) => {
    const texts = film().texts, state = words[STATES[cell.state]];
    if (cell.state === 'n') return state;
    const inside = texts[cidr] === texts[cell.address] ? '' : ` (${texts[cidr]})`;
    const pod = cell.pod == null ? '' : `, ${texts[cell.pod]}`;
    const until = cell.until == null ? '' : `, ${words.until} ${seconds(cell.until)}`;
    return `${texts[cell.address]}${inside}: ${state}${pod}${until}`;
  };
  const row = index => {
    const look = film().looks[index], [id, role, device, card, excluded] = look;
    const made = make('div', {role: 'row', class: 'eni'});
    const counts = {h: 0, c: 0, f: 0};
    const holder = make('span', {role: 'none', class: 'slots'});
    for (const [cidr, cells] of cellsOf(look)) {
      const slot = film().prefix && cells[0]?.state !== 'n'
        ? holder.appendChild(make('span', {role: 'none', class: 'prefix'})) : holder;
      for (const cell of cells) {
        if (cell.state in counts) counts[cell.state]++;
        slot.append(make('i', {
          role: 'gridcell', tabindex: -1, class: STATES[cell.state], 'aria-label': said(cell, cidr),
        }));
      }
    }
    const head = make('span', {role: 'rowheader', class: 'head'});
    head.append(make('b', {}, film().texts[id]), make('span', {},
      `${role}, ${words.device} ${device}${card ? `, ${words.card} ${card}` : ''}` +
      `${excluded ? `, ${words.excluded}` : ''}: ${counts.h} ${words.held}, ` +
      `${counts.c} ${words.cooling}, ${counts.f} ${words.free}`));
    made.append(head, holder);
    return made;
  };
  const grid = frame => {
    const focused = place(document.activeElement), kept = new Map();
    const wanted = frame.enis.map(index => {
      const key = `${chosen}/${index}`;
      kept.set(key, rows.get(key) ?? row(index));
      return kept.get(key);
    });
    rows = kept;
    const here = $('enis');
    if (wanted.length !== here.children.length || wanted.some((e, n) => e !== here.children[n]))
      here.replaceChildren(...wanted);
    if (!here.querySelector('[tabindex="0"]')) here.querySelector('i')?.setAttribute('tabindex', 0);
    if (focused) move(...focused);
  };
  const place = cell => {
    if (cell?.getAttribute('role') !== 'gridcell') return null;
    const line = cell.closest('[role=row]');
    return [[...line.parentNode.children].indexOf(line),
            [...line.querySelectorAll('i')].indexOf(cell)];
  };
  const move = (line, column) => {
    const lines = $('enis').children;
    const cells = lines[Math.min(Math.max(line, 0), lines.length - 1)]?.querySelectorAll('i') ?? [];
    const cell = cells[Math.min(Math.max(column, 0), cells.length - 1)];
    if (!cell) return;
    $('enis').querySelectorAll('[tabindex="0"]').forEach(each => { each.tabIndex = -1; });
    cell.tabIndex = 0;
    cell.focus();
  };

  // --- what is said of a moment -----------------------------------------------------------

  // The moment of a film that goes with one of the other: the last one that is not after its
  // time, and of several at that time not after its step.
  const moment = (frames, {t, step}) => {
    let n = 0;
    const after = each => each.t > t || (each.t === t && each.step > step);
    while (n + 1 < frames.length && !after(frames[n + 1])) n++;
    return n;
  };
  const figures = frame => {
    const shown = films.map((each, n) => n === chosen ? frame : each.frames[moment(each.frames, frame)]);
    const lines = (body, names, values) => body.replaceChildren(...names.map(name => {
      const found = values(name), differ = new Set(found).size > 1;
      const line = make('tr', differ ? {class: 'differ'} : {});
      line.append(make('th', {scope: 'row'}, words[`n_${name}`]));
      found.forEach((value, n) => line.append(
        make('td', {class: n === chosen ? 'number chosen' : 'number'}, value)));
      line.append(make('td', {}, differ ? words.differs : ''));
      return line;
    }));
    const [now, whole] = $('figures').tBodies;
    lines(now, NUMBERS, name => shown.map(
      each => name === 'calls' ? each.sum : each.n[NUMBERS.indexOf(name)]));
    lines(whole, Object.keys(WHOLE), name => films.map(each => WHOLE[name](each.frames)));
    $('policy').textContent = film().policy;
    [...$('figures').tHead.rows[0].cells].forEach((cell, n) =>
      cell.classList.toggle('chosen', n === chosen + 1));
  };
  const why = n => {
    const frame = film().frames[n], [growth, shrinking] = film().rules[frame.rule];
    $('why-when').textContent =
      `${seconds(frame.t)}: ${happens(frame)}. ${frame.checked ? words.decided : words.leads}`;
    $('growth').textContent = growth.join('\n');
    $('shrinking').textContent = shrinking.join('\n');
    $('pauses').hidden = !frame.pauses;
    $('calls').replaceChildren(...frame.calls.map(call => make('li', {}, film().texts[call])));
    $('no-calls').hidden = frame.calls.length > 0;
  };
  const waiting = frame => {
    $('waiting').replaceChildren(...frame.wait.map(([pod, refusals]) => make('li', {},
      `${film().texts[pod]}, ${words.refused}: ${refusals}`)));
    const more = frame.n[1] - frame.wait.length;
    if (more > 0) $('waiting').append(make('li', {}, words.more.replace('{}', more)));
    $('none-waiting').hidden = frame.n[1] > 0;
  };
  const moments = () => $('moments').replaceChildren(...film().frames.map((frame, n) => {
    const item = make('li'), calls = frame.calls.length;
    const button = make('button', {type: 'button', tabindex: -1, 'data-at': n});
    button.append(make('b', {}, seconds(frame.t)), make('span', {}, happens(frame)),
      make('small', {}, [
        calls ? `${words.n_calls_here}: ${calls}` : '',
        frame.n[1] ? `${words.wait}: ${frame.n[1]}` : '',
      ].filter(Boolean).join(', ')));
    item.append(button);
    return item;
  }));

  const draw = () => {
    const frame = film().frames[at], time = $('time');
    time.max = film().frames.length - 1;
    time.value = at;
    const label = `${seconds(frame.t)}: ${happens(frame)}`;
    time.setAttribute('aria-valuetext', label);
    $('now').textContent = label;
    grid(frame);
    figures(frame);
    why(at);
    waiting(frame);
    cursor();
    for (const button of $('moments').querySelectorAll('[aria-current]')) {
      button.removeAttribute('aria-current');
      button.tabIndex = -1;
    }
    const current = $('moments').children[at].firstChild, list = $('moments');
    current.setAttribute('aria-current', 'true');
    current.tabIndex = 0;
    list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
    if (link !== null) {
      const query = new URLSearchParams(link);
      query.set('policy', film().policy);
      query.set('at', at);
      history.replaceState(history.state, '', `?${query}`);
    }
  };
  const go = n => {
    at = Math.min(Math.max(n, 0), film().frames.length - 1);
    draw();
  };
  const play = on => {
    clearInterval(timer);
    timer = 0;
    if (on) {
      if (at === film().frames.length - 1) go(0);
      timer = setInterval(() => {
        go(at + 1);
        if (at === film().frames.length - 1) play(false);
      }, 500);
    }
    $('play').textContent = on ? words.pause : words.play;
  };
  const choose = n => {
    const frame = film().frames[at];
    chosen = n;
    document.querySelector(`[name=policy][value="${film().policy}"]`).checked = true;
    $('cut').hidden = !film().cut;
    chart();
    moments();
    go(moment(film().frames, frame));
  };

  // --- what a person does -----------------------------------------------------------------

  const on = (event, id, act) => document.addEventListener(event, each => {
    const found = each.target.closest?.(id);
    if (found && films.length) act(found, each);
  });
  on('input', '#time', found => { play(false); go(+found.value); });
  on('click', '#play', () => play(!timer));
  on('change', '[name=policy]', found =>
    choose(films.findIndex(each => each.policy === found.value)));
  on('click', '#chart svg', (found, event) => {
    const box = found.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width * width - LEFT) / (width - LEFT - RIGHT);
    play(false);
    go(Math.floor(share * film().frames.length));
  });
  on('click', '#moments button', found => { play(false); go(+found.dataset.at); });
  for (const event of ['mouseover', 'focusin']) {
    on(event, '#enis i', found => { $('under').textContent = found.getAttribute('aria-label'); });
    on(event, '#moments button', found => why(+found.dataset.at));
  }
  for (const event of ['mouseout', 'focusout']) {
    on(event, '#enis i', () => { $('under').textContent = words.point; });
    on(event, '#moments button', () => why(at));
  }
  on('keydown', '#moments button', (found, event) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    play(false);
    go(+found.dataset.at + step);
    $('moments').children[at].firstChild.focus();
  });
  on('keydown', '#enis i', (found, event) => {
    const [line, column] = place(found);
    const steps = {
      ArrowRight: [line, column + 1], ArrowLeft: [line, column - 1], ArrowDown: [line + 1, column],
      ArrowUp: [line - 1, column], Home: [line, 0], End: [line, Infinity],
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(...steps[event.key]);
  });

  new ResizeObserver(() => {
    if (films.length && $('chart') && $('chart').clientWidth !== width) { chart(); cursor(); }
  }).observe(document.documentElement);

  const show = given => {
    if (!document.querySelector(`[data-film="${given.number}"]`)) {  // not drawn yet
      requestAnimationFrame(() => show(given));
      return;
    }
    ({films, words, link} = given);
    for (const {frames} of films) {
      let step = 0;
      for (const frame of frames) frame.step = frame.what ? ++step : step;
    }
    rows = new Map();
    at = 0;
    chosen = Math.max(films.findIndex(each => each.policy === given.policy), 0);
    play(false);
    choose(chosen);
    go(given.at);
  };
  window.ipamLife = show;
})();
