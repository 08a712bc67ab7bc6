import { readdressed } from './addresses.ts';

const root = 'vscode-vfs://github/';
const edit = (beginning: string) => ({
  id: 1,
  result: {
    changes: { [`${beginning}o/r/a.yaml`]: [{ range: { start: { line: 1 } }, newText: `see ${beginning}` }] },
    data: [null, 2, true, { uri: `${beginning}o/r/b%20c.yaml` }],
  },
});

test('addresses of a message are put under the workspace wherever they stand, and texts that name one are left', () => {
  const changed = readdressed(edit('file:///'), 'file:///', root);
  expect(changed.result.changes).toEqual({
    'vscode-vfs://github/o/r/a.yaml': [{ range: { start: { line: 1 } }, newText: 'see file:///' }],
  });
  expect(changed.result.data).toEqual([null, 2, true, { uri: 'vscode-vfs://github/o/r/b%20c.yaml' }]);
});

test('what comes from the server goes back to it as it was', () => {
  const message = { uri: 'file:///o/r/a.yaml', untitled: 'untitled:Untitled-1' };
  expect(readdressed(readdressed(message, 'file:///', root), root, 'file:///')).toEqual(message);
});
