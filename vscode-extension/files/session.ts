/** The command line's way to apply and delete, over the editor's connection. */
import type { ApplySession, Broker } from 'landfall/client.ts';
import type { BrokerConnection } from '../broker/connection.ts';

/** Notices are what a person is told on the way, such as that a key was made. */
export function sessionOver(
  { context, client }: BrokerConnection,
  notice: (text: string) => void,
): ApplySession {
  const { url, project } = context;
  // The client adds the token of now to each request.
  const broker: Broker = { connection: { url, token: undefined, project, source: 'flags' }, client, project };
  return {
    brokerFor: (other) => (other === undefined ? broker : { ...broker, project: other }),
    notice,
    terminal: { env: process.env },
  };
}
