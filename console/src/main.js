// The page: header, what waits, tabs, the tab that the address names, and the jobs in the corner.

import './focus.js';
import { Missing, session } from './http.js';
import { Images } from './images.js';
import { Jobs } from './jobs.js';
import { KeyboardHelp, useKeys } from './keys.js';
import { Fragment, html, number, render, useEffect, useState, useStore } from './lib.js';
import { Logo } from './logo.js';
import { outage, tryNow } from './outage.js';
import { Banner, usePending } from './pending.js';
import { address, go, route } from './route.js';
import { signOut, whyReadOnly } from './session.js';
import { Shared } from './shared.js';
import { SignIn } from './signin.js';
import { Tray } from './tray.js';
import { Button, Copyable, Icon, LiveRegion, Toast, undo } from './ui.js';

const TABS = [['shared', 'Shared with me'], ['images', 'My images'], ['jobs', 'Jobs']];
const VIEWS = { shared: Shared, images: Images, jobs: Jobs };

function App() {
  const signedIn = useStore(session);
  return html`<${Fragment}>
    <${LiveRegion} />
    ${signedIn ? html`<${Console} key=${signedIn.token} session=${signedIn} />` : html`<${SignIn} />`}
  <//>`;
}

/** @param {{session: Session}} props */
function Console({ session: { project, user } }) {
  const { tab, params } = useStore(route);
  const pending = usePending();
  const [help, setHelp] = useState(false);
  const title = TABS.find(([name]) => name === tab)?.[1] ?? '';
  const waiting = pending.data?.rows.length ?? 0;
  useEffect(() => {
    document.title = `${waiting ? `(${number(waiting)}) ` : ''}${title} · imshare`;
  }, [title, waiting]);
  useKeys({
    'g s': () => go('shared'),
    'g m': () => go('images'),
    'g j': () => go('jobs'),
    'g t': () => go('shared', { open: 'trusted' }),
    '/': () => /** @type {HTMLElement | null} */ (document.querySelector('[data-search]'))?.focus(),
    u: undo,
    '?': () => setHelp(true),
  });
  const View = VIEWS[/** @type {keyof typeof VIEWS} */ (tab)];
  return html`<${Fragment}>
    <header class="top">
      <span class="brand"><${Logo} />imshare</span>
      <span class="whose">
        <bdi>${project.name || 'Project'}</bdi> <${Copyable} text=${project.id} what="the project's id" />
        <span class="user"><bdi>${user}</bdi></span>
      </span>
      <button type="button" class="icon" aria-label="Keyboard help" title="Keyboard (?)" onClick=${() => setHelp(true)}>?</button>
      <${Button} onClick=${signOut}>Sign out<//>
    </header>
    <${Away} />
    <main>
      ${whyReadOnly() ? html`<p class="note"><${Icon} name="warning" />${whyReadOnly()}</p>` : null}
      ${pending.error instanceof Missing ? html`<p class="note"><${Icon} name="warning" />This server has no list of invitations yet: it is older than this page. My images and Jobs work.</p>` : null}
      ${pending.data ? html`<${Banner} ...${pending.data} />` : null}
      <nav class="tabs" aria-label="Views">
        ${TABS.map(
          ([name = '', text]) => html`<a href=${address(name)} aria-current=${name === tab ? 'page' : undefined}>${text}
            ${name === 'shared' && waiting ? html` <b aria-label=${`${number(waiting)} waiting`}>${number(waiting)}</b>` : null}</a>`,
        )}
      </nav>
      <h1 class="hidden" tabindex="-1">${title}</h1>
      <${View} key=${tab} params=${params} />
    </main>
    <div class="corner"><${Toast} /><${Tray} opened=${tab === 'jobs' ? params.open : undefined} /></div>
    ${help ? html`<${KeyboardHelp} onClose=${() => setHelp(false)} />` : null}
  <//>`;
}

/** Says that the service does not answer, and when it is asked again. */
function Away() {
  const now = useStore(outage);
  if (!now) return null;
  return html`<div class="away" role="alert">
    <${Icon} name="warning" />
    <p>${now.message} <span aria-live="off">${now.left ? `Trying again in ${now.left} s.` : 'Trying again.'}</span></p>
    <${Button} onClick=${tryNow}>Try now<//>
  </div>`;
}

const root = document.getElementById('app');
if (root) render(html`<${App} />`, root);
