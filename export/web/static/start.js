/** Where page.js can't be loaded, it can't say why; this says it. No module: those need a server. */
'use strict';

function cannotStart(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  status.className = 'error';
  document.body.className = 'failed';
}

if (location.protocol === 'file:') {
  cannotStart('Open this page from a web server, such as `python -m http.server` ' +
    'in its folder: browsers load no model from a file.');
} else {
  // Of an element, such as a script that is missing: those errors don't bubble.
  addEventListener('error', (event) => {
    if (event.target instanceof HTMLScriptElement) {
      cannotStart('A script of this page is missing on the server. Was the whole folder copied?');
    }
  }, true);
}
