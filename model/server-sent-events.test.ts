import { ServerSentEventParser } from './server-sent-events.ts';

test('events are put together from pieces cut anywhere', () => {
  const text =
    ': hi\r\nid: 1-2\r\nevent: event\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: bookmark\ndata: 1-3\n\n';
  for (let size = 1; size < 8; size++) {
    const parser = new ServerSentEventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    expect(events).toEqual([
      { id: '1-2', event: 'event', data: '{"a":\n1}' },
      { id: '1-2', event: 'bookmark', data: '1-3' },
    ]);
  }
});
