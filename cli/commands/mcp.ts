/** `landfall mcp`: the tools of a language model, over the Model Context Protocol. */
import { serveMcp } from '@landfall/mcp/server.ts';
import { version } from '../connection/broker.ts';
import { exitCodes } from '../errors.ts';
import type { Session } from '../session.ts';

export async function mcp(
  session: Session,
  { allowWrites = false }: { allowWrites?: boolean },
): Promise<number> {
  const { interrupted } = session.terminal;
  await serveMcp({ broker: session.broker, allowWrites, version, interrupted });
  return exitCodes.ok;
}
