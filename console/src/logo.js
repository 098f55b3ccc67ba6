import { html } from './lib.js';

export function Logo() {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" />
    <path d="M12.6 14.4 19.4 10.6M12.6 17.6 19.4 21.4" />
    <circle cx="9.6" cy="16" r="3.2" /><circle cx="22.4" cy="9.2" r="3.2" /><circle cx="22.4" cy="22.8" r="3.2" />
  </svg>`;
}
