import { connect } from 'node:net';

/** Does an SSH server greet at this address within `limitMs`? "Running" says nothing about a guest; this does. */
export function sshAnswers(host: string, port = 22, limitMs = 1500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    let greeting = '';
    socket.setTimeout(limitMs, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => resolve(false));
    socket.on('data', (data) => {
      greeting += data.toString('latin1');
      if (greeting.startsWith('SSH-')) end(true);
      else if (greeting.length > 255) end(false);
    });
  });
}
