/** Replaced below. */
export function referencePage(document: Record<string, unknown>): string {
  return JSON.stringify(document);
}
