/** Prices, sizes and times as people read them. */

function money(amount: number, digits: number, currency: string | undefined): string {
  const number = amount.toFixed(digits);
  return currency === undefined || currency === 'USD' ? `$${number}` : `${number} ${currency}`;
}

/** `$0.0104`; as many digits as an hour's price needs. */
export function pricePerHour(amount: number | undefined | null, currency?: string): string | undefined {
  if (amount === undefined || amount === null) return undefined;
  return money(amount, amount !== 0 && Math.abs(amount) < 0.001 ? 6 : 4, currency);
}

/** `$7.59`. */
export function pricePerMonth(amount: number | undefined | null, currency?: string): string | undefined {
  return amount === undefined || amount === null ? undefined : money(amount, 2, currency);
}

/** What was spent: `$12.34`; less than one with four digits: `$0.0042`. */
export function spent(amount: number, currency?: string): string {
  return money(amount, amount > 0 && amount < 1 ? 4 : 2, currency);
}

/** A change of what is paid: `+$7.59`, `−$7.59`, `±$0.00`. */
export function signedPerMonth(amount: number, currency?: string): string {
  const shown = money(Math.abs(amount), 2, currency);
  return `${/[1-9]/.test(shown) ? (amount < 0 ? '−' : '+') : '±'}${shown}`;
}

/** `0.25 GiB`. */
export function gib(amount: number | undefined | null): string | undefined {
  return amount === undefined || amount === null ? undefined : `${Number(amount.toFixed(3))} GiB`;
}

/** A number without needless digits. */
export function number(amount: number | undefined | null): string | undefined {
  return amount === undefined || amount === null ? undefined : String(Number(amount.toFixed(3)));
}

/** A count with thousands apart: `65,215`. */
export function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

/** `1 site`, `3 sites`: a count with its noun. */
export function counted(amount: number, noun: string): string {
  return `${count(amount)} ${noun}${amount === 1 ? '' : 's'}`;
}

/** A time span: `45s`, `12m`, `5h12m`, `3d4h`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours}h${minutes % 60}m` : `${hours}h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 10 ? `${days}d${hours % 24}h` : `${days}d`;
}

/** How long ago a time was. */
export function age(time: string | undefined | null, now: number): string | undefined {
  return time ? span(now - Date.parse(time)) : undefined;
}

/** A time and how far it is: `2026-11-20 16:05:22 UTC (5m ago)`. */
export function moment(time: string | undefined | null, now: number): string | undefined {
  if (!time) return undefined;
  const away = Date.parse(time) - now;
  const shown = `${time.slice(0, 19).replace('T', ' ')}${time.endsWith('Z') ? ' UTC' : time.slice(19).replace(/^\.\d+/, '')}`;
  return `${shown} (${away > 0 ? `in ${span(away)}` : `${span(-away)} ago`})`;
}
