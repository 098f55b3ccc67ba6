// Images that were made from a backup of a server need a vault, which keeps what is made of them.

import { Dialog } from './dialog.js';
import { html, keep, kept, plural, useState } from './lib.js';
import { Button } from './ui.js';

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

/**
 * @param {{count: number, of?: number, onVault: (vault: string) => void, onClose: () => void}} props
 */
export function VaultDialog({ count, of = count, onVault, onClose }) {
  const [vault, setVault] = useState(String(kept('vault') ?? ''));
  const text = vault.trim();
  const why = UUID.test(text) ? '' : 'The id of a vault is a UUID.';
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (why) return;
    // The next image most likely has the same one.
    keep('vault', text);
    onVault(text);
  };
  const which = of > count ? `${count} of the ${of} images ${count === 1 ? 'was' : 'were'}` : count === 1 ? 'This image was' : `${plural(count, 'image')} were`;
  return html`<${Dialog} title="Choose a vault" onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>${which} made from a backup of a whole server. Accepting needs a vault of your project.</p>
      <label class="field">Vault id
        <input value=${vault} required autofocus aria-describedby="vault-help" spellcheck=${false} autocomplete="off"
          onInput=${(/** @type {any} */ event) => setVault(event.target.value)} />
      </label>
      <p id="vault-help" class="quiet" role="status">${text ? why : ''}</p>
      <footer>
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" type="submit" why=${why}>Accept with this vault<//>
      </footer>
    </form>
  <//>`;
}
