import type { Event } from '@landfall/model';
import { changesAnswers, changesNames } from './names.ts';

const event = (type: string, kind?: string): Event =>
  ({ type, ...(kind && { resource: { kind, id: 'x', name: 'x' } }) }) as Event;

test.each([
  ['host.registered', 'Host'],
  ['host.unreachable', 'Host'],
  ['host.ready', 'Host'],
  ['host.deleted', 'Host'],
  ['site.offersRead', 'Site'],
  ['site.created', 'Site'],
  ['catalogue.refreshed', 'PriceList'],
  ['catalogue.removed', 'PriceList'],
  ['policy.updated', 'PlacementPolicy'],
  ['policy.deleted', 'PlacementPolicy'],
  ['image.created', 'Image'],
])('after %s the broker may answer otherwise', (type, kind) => {
  expect(changesAnswers(event(type, kind))).toBe(true);
});

test.each([
  ['catalogue.refreshFailed', 'PriceList'],
  ['instance.createRequested', 'Instance'],
  ['instance.deleted', 'Instance'],
  ['operation.succeeded', 'Operation'],
  ['sshKey.created', 'SshKey'],
  ['compliance.finished', undefined],
])('after %s it answers as before', (type, kind) => {
  expect(changesAnswers(event(type, kind))).toBe(false);
});

test('prices and policies are no names', () => {
  expect(changesNames(event('catalogue.refreshed', 'PriceList'))).toBe(false);
  expect(changesNames(event('policy.updated', 'PlacementPolicy'))).toBe(false);
  expect(changesNames(event('network.created', 'Network'))).toBe(true);
});
