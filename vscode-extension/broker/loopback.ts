/**
 * Addresses that mean another broker on each machine. The extension runs beside the files; the editor keeps settings and secrets where
 * the window is, for every machine that windows are opened on: `http://127.0.0.1:7420` of one must not get the token of another.
 */
import { hostname } from 'node:os';

/** Whether an address is of the machine that asks. */
export function isLoopback(url: string): boolean {
  const { hostname: host } = new URL(url);
  return /^(127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|(.+\.)?localhost)$/.test(host);
}

/** What this machine is called, without its domain, which changes with the network that a laptop is in. Empty in a browser: there is but one machine. */
export const thisMachine = (full = hostname()): string => full.split('.')[0]!;

/** The machine that an address is one of; undefined where it means the same everywhere. */
export function machineOf(url: string, machine = thisMachine()): string | undefined {
  return isLoopback(url) && machine !== '' ? machine : undefined;
}
