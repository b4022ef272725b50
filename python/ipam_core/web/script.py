"""What runs in the browser on every page: the theme, the language's link, copying."""

SEND_FORM = "event => emit(Object.fromEntries(new FormData(event.currentTarget)))"
"""The handler of a form's event that sends its fields."""

SCRIPT = """
const theme = name => {
  if (name === 'light' || name === 'dark') document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  for (const each of document.querySelectorAll('[data-theme-choice]'))
    each.setAttribute('aria-pressed', String(each.dataset.themeChoice === name));
};
const kept = () => { try { return localStorage.getItem('theme') || 'system'; }
                     catch { return 'system'; } };
theme(kept());
new MutationObserver((_, observer) => {
  if (!document.querySelector('[data-theme-choice]')) return;
  observer.disconnect();
  theme(kept());
}).observe(document.documentElement, {childList: true, subtree: true});
const copy = text => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');  // a page that is not of this machine
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  return done ? Promise.resolve() : Promise.reject();
};
document.addEventListener('click', event => {
  const choice = event.target.closest('[data-theme-choice]');
  if (choice) {
    try { localStorage.setItem('theme', choice.dataset.themeChoice); } catch {}
    theme(choice.dataset.themeChoice);
  }
  const language = event.target.closest('[data-language]');
  if (language) {  // the address may have changed since the page was made
    const query = new URLSearchParams(location.search);
    query.set('lang', language.dataset.language);
    language.href = '?' + query;
  }
  const button = event.target.closest('[data-copy]');
  if (button) {
    const word = button.textContent;
    copy(document.getElementById(button.dataset.copy).textContent).then(() => {
      if (word === button.dataset.copied) return;
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = word; }, 1500);
    });
  }
});
"""
