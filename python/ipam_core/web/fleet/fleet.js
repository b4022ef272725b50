// The moment under the cursor of a fleet's charts, and the point of a front that was clicked.
// What is shown of a result is only ever set as text.
(() => {
  'use strict';
  let results = [], minutes = 'min';
  const $ = id => document.getElementById(id);
  const charts = () => [...document.querySelectorAll('svg[data-places]')];

  const show = at => {
    const times = results[0].times_s;
    $('moment').value = at;
    const time = `${(times[Math.min(at, times.length - 1)] / 60).toFixed(1)} ${minutes}`;
    $('moment').setAttribute('aria-valuetext', time);
    $('moment-time').textContent = time;
    charts().forEach(chart => {
      const places = chart.dataset.places.split(' ');
      const place = places[Math.min(at, places.length - 1)];
      chart.querySelector('.cursor').setAttribute('transform', `translate(${place - 52},0)`);
    });
    for (const row of document.querySelectorAll('#at-moment tr[data-series]')) {
      results.forEach(({series}, n) => {
        const values = series[row.dataset.series];
        row.cells[n + 1].textContent = values[Math.min(at, values.length - 1)].toLocaleString('en');
      });
    }
  };
  const choose = point => {
    document.querySelectorAll('[data-point]').forEach(each =>
      each.setAttribute('aria-pressed', each.dataset.point === point.dataset.point));
    document.querySelectorAll('#panels > section').forEach(each => {
      each.hidden = each.id !== `point-${point.dataset.point}`;
    });
  };
  const on = (event, id, act) => document.addEventListener(event, each => {
    const found = each.target.closest?.(id);
    if (found) act(found, each);
  });
  on('input', '#moment', found => show(+found.value));
  on('pointermove', 'svg[data-places]', (found, event) => {
    if (!results.length) return;
    const box = found.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * found.viewBox.baseVal.width;
    const places = found.dataset.places.split(' ').map(Number);
    let at = 0;
    while (at + 1 < places.length && places[at + 1] <= x) at++;
    show(at);
  });
  on('click', '[data-point]', choose);
  on('keydown', '[data-point]', (found, event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    choose(found);
  });

  const begin = given => {
    if (!document.querySelector(`[data-shown="${given.number}"]`)) {  // not drawn yet
      requestAnimationFrame(() => begin(given));
      return;
    }
    ({results, minutes} = given);
    show(+$('moment').value);
  };
  window.ipamFleet = begin;
})();
