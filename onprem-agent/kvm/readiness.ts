import { connect } from 'node:net';

/** A guest on this host's own network takes a connection in this time, or its kernel is not there yet. */
const connectLimitMs = 250;
/** Under emulation a server may take its time to greet. */
const greetingLimitMs = 1500;

/**
 * Does an SSH server greet at this address? "Running" says nothing about a guest; this does. A connection is given up early:
 * one that was begun before the guest's network was there is repeated by the kernel only after a second.
 */
export function sshAnswers(host: string, port = 22): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    let greeting = '';
    socket.setTimeout(connectLimitMs, () => end(false));
    socket.on('connect', () => socket.setTimeout(greetingLimitMs));
    socket.on('error', () => end(false));
    socket.on('close', () => resolve(false));
    socket.on('data', (data) => {
      greeting += data.toString('latin1');
      if (greeting.startsWith('SSH-')) end(true);
      else if (greeting.length > 255) end(false);
    });
  });
}
