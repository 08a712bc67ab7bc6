/** Why a broker could not be reached. */

/** The system's code for why a connection failed, which fetch hides in its error's causes. */
export function connectionFailure(error: unknown): string {
  const outer = error as Error | undefined;
  for (
    let cause = outer as (Error & { code?: unknown }) | undefined;
    cause;
    cause = cause.cause as typeof cause
  ) {
    if (typeof cause.code === 'string') return cause.code;
    if (cause.name === 'TimeoutError') return 'ETIMEDOUT';
  }
  return outer?.message ?? String(error);
}

/** What such a code means to a person; it is shown as it is where there are no words for it. */
export const failureWords: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke',
  UND_ERR_SOCKET: 'the connection broke',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up now',
  ETIMEDOUT: 'it does not answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no network',
};
