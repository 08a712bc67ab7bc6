/** What a browser has not, and no code in it reaches: threads of the batch solver, processes, the user of the machine. */
export class Worker {
  constructor() {
    throw new Error('There are no threads in a browser.');
  }
}
export const parentPort = null;
export const setImmediate = (): Promise<void> => new Promise((done) => setTimeout(done));
export const homedir = (): string => '/';
export const hostname = (): string => '';
const absent = (): never => {
  throw new Error('There is no machine behind this editor.');
};

export { absent as createRequire, absent as spawnSync, absent as userInfo };
