import type { Decision, Offer } from '@landfall/model';
import { NEUTRAL_REQUEST, NO_POLICIES } from '@landfall/policies';
import { ledgerKeys, readsEstate } from './ledger-keys.ts';

const decision = { rules: [] } as unknown as Decision;
const keys = (minds: boolean) => ledgerKeys(NO_POLICIES, [], NEUTRAL_REQUEST, decision, {} as Offer, minds);

test('a placement under no rule is noticed by those beside it where machines may have rules of their own', () => {
  expect(keys(true)).toEqual(['neighbours']);
  expect(keys(false)).toEqual([]);
});

test('the machines that exist are read where one of them may have a rule of its own', () => {
  const subject = { organization: 'default', project: 'default' };
  expect(readsEstate(NO_POLICIES, [], subject, true)).toBe(true);
  expect(readsEstate(NO_POLICIES, [], subject, false)).toBe(false);
});
