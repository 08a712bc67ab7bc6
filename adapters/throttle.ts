import { ProviderError } from './errors.ts';
import { pause } from './wait.ts';

/** A hold up to this long is waited out by the call; a longer one is answered, so that its resource can say why it waits. */
const waitedOutMs = 10_000;
/** What a provider that names no time is given. */
const unnamedMs = 1_000;
/** After a hold the calls that waited go on one by one at this distance: all together they would be throttled again. */
const apartMs = 50;

/**
 * What a provider's "too many calls" means for all calls of one site, whatever resource they are for (R15): the account is
 * throttled, and not the call that happened to hear of it. Sites have one each, so a throttled site holds back no other.
 */
export class Throttle {
  #heldUntil = 0;
  #nextTurn = 0;

  /**
   * Runs a call when the site may be asked again.
   * @throws ProviderError `Throttled` with the time left, without a call, where that is longer than ten seconds.
   */
  async run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    await this.#turn(signal);
    try {
      return await call();
    } catch (error) {
      if (error instanceof ProviderError && error.code === 'Throttled') {
        this.#heldUntil = Math.max(this.#heldUntil, Date.now() + (error.details.retryAfterMs ?? unnamedMs));
        this.#nextTurn = Math.max(this.#nextTurn, this.#heldUntil);
      }
      throw error;
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    while (this.#nextTurn > Date.now()) {
      const leftMs = this.#heldUntil - Date.now();
      if (leftMs > waitedOutMs) {
        throw new ProviderError(
          'Throttled',
          `the provider allows this account no more calls for ${Math.ceil(leftMs / 1_000)} s`,
          { retryAfterMs: leftMs },
        );
      }
      const mine = this.#nextTurn;
      this.#nextTurn += apartMs;
      await pause(mine - Date.now(), signal);
      // Unless it was throttled anew meanwhile.
      if (this.#heldUntil <= Date.now()) return;
    }
  }
}
