/** `node:zlib` in a browser, which unpacks nothing at once: `web/server.ts` has unpacked the data files already. */
export const gunzipSync = (text: string): string => text;
