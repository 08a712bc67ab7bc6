/** Of the browser, whose other types this workspace does without. */
declare class Worker extends EventTarget {
  constructor(url: string);
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: { message: string }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

/** The worker's own side. */
interface DedicatedWorker {
  addEventListener(
    type: 'message',
    listener: (event: { data: unknown }) => void,
    options?: { once: boolean },
  ): void;
  postMessage(message: unknown): void;
  onmessage: ((event: unknown) => void) | null;
}
