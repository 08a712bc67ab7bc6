import { readSpend } from '@landfall/store/usage.ts';
import type { Handlers } from '../handler.ts';
import { scopeOf } from './operations.ts';

export const spendHandlers = {
  async getSpend({ principal, query }, { db }) {
    return { status: 200, body: await readSpend(db, scopeOf(principal), query) };
  },
} satisfies Partial<Handlers>;
