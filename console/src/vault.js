// Images that were made from a backup of a server need a vault, which keeps what is made of them.

import { Dialog } from './dialog.js';
import { html, plural, useState } from './lib.js';
import { Button } from './ui.js';

/**
 * @param {{count: number, of?: number, onVault: (vault: string) => void, onClose: () => void}} props
 */
export function VaultDialog({ count, of = count, onVault, onClose }) {
  const [vault, setVault] = useState('');
  const text = vault.trim();
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (text) onVault(text);
  };
  const which = of > count ? `${count} of the ${of} images ${count === 1 ? 'was' : 'were'}` : count === 1 ? 'This image was' : `${plural(count, 'image')} were`;
  return html`<${Dialog} title="Choose a vault" onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>${which} made from a backup of a whole server. Accepting needs a vault of your project.</p>
      <label class="field">Vault id
        <input value=${vault} maxlength="255" required autofocus spellcheck=${false} autocomplete="off"
          onInput=${(/** @type {any} */ event) => setVault(event.target.value)} />
      </label>
      <footer>
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" type="submit" why=${text ? '' : 'Enter the id of a vault.'}>Accept with this vault<//>
      </footer>
    </form>
  <//>`;
}
