/** The public surface of the workflows package. The broker uses `client.ts` and `placement.ts` only. */
export * from './client.ts';
export * from './placement.ts';
export * from './steps.ts';
