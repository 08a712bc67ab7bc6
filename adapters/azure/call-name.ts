/**
 * What a person knows a request by: the method and the types of the resource that its path names, without their names: `PUT virtualMachines`,
 * `POST virtualMachines/start`, `GET locations/operations`.
 */
export function callName(method: string, url: string): string {
  const path = new URL(url).pathname;
  // The last provider's types; what is of none stands under its subscription.
  const [, typed] =
    /^.*\/providers\/[^/]+\/(.+)$/i.exec(path) ?? /^\/subscriptions\/[^/]+\/(.+)$/i.exec(path) ?? [];
  const types = typed?.split('/').filter((_, index) => index % 2 === 0);
  return `${method} ${types?.join('/') ?? 'subscriptions'}`;
}
