import { OriginRefusedError } from './connection.ts';

test('an editor of vscode.dev, whose origin is of one workspace, is told to name the origins of all', () => {
  const refused = (origin: string) => new OriginRefusedError('http://127.0.0.1:7420', origin, undefined);
  expect(refused('https://v--1a2b.vscode-cdn.net').setting).toBe(
    'LANDFALL_ALLOWED_ORIGINS=https://*.vscode-cdn.net',
  );
  expect(refused('https://editor.example:8443').message).toBe(
    'The broker at http://127.0.0.1:7420 does not let this editor read its answers: start it with LANDFALL_ALLOWED_ORIGINS=https://editor.example:8443 in its environment.',
  );
});
