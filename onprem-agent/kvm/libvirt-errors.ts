import { ProviderError } from '@landfall/adapters/errors.ts';
import { CommandFailed } from '../host/command.ts';

const connectionLost =
  /cannot recv data|end of file while reading|client socket is closed|connection reset|broken pipe/i;
const noConnection =
  /failed to connect|connection refused|no such file or directory.*libvirt-sock|libvirt-sock.*no such file/i;

/** What libvirt's words mean, first match wins. */
const meanings: Array<[RegExp, 'CapacityExhausted' | 'NotFound' | 'Conflict' | 'Denied' | 'Invalid']> = [
  // A device that cannot be handed over, whoever has it or why: there may be others elsewhere.
  [/vfio|PCI device '?[0-9a-f]{4}:|device [0-9a-f]{4}:\S+ not found/i, 'CapacityExhausted'],
  [
    /cannot set up guest memory|cannot allocate memory|no space left on device|not enough (free )?memory/i,
    'CapacityExhausted',
  ],
  [
    /failed to get (domain|network)|(domain|network) not found|no (domain|network) with matching/i,
    'NotFound',
  ],
  [/already exists|operation is not valid|is already active|state change lock/i, 'Conflict'],
  [/authentication|access denied|permission denied|operation not permitted/i, 'Denied'],
  [/xml error|unsupported configuration|invalid argument|schema|not supported/i, 'Invalid'],
];

/**
 * libvirt's failure as the contract's (A7). `changes`: the call would have changed something, so that an answer that never
 * came means the outcome is unknown (A8); a mere look is `Unavailable`.
 */
export function libvirtError(error: unknown, changes: boolean): unknown {
  if (!(error instanceof CommandFailed)) return error;
  const words = error.stderr.replace(/^error: /gm, '').trim() || error.message;
  if (noConnection.test(words)) {
    return new ProviderError('Unavailable', `libvirt on this host does not answer: ${words}`, {}, error);
  }
  if (error.timedOut || connectionLost.test(words)) {
    return changes
      ? new ProviderError(
          'OutcomeUnknown',
          `libvirt's answer to ${error.args.join(' ').slice(0, 80)} was lost`,
          {},
          error,
        )
      : new ProviderError('Unavailable', `libvirt did not answer: ${words}`, {}, error);
  }
  const meaning = meanings.find(([pattern]) => pattern.test(words));
  return new ProviderError(meaning?.[1] ?? 'Unavailable', words, {}, error);
}
