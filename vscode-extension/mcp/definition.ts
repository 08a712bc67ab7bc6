/** The MCP server of the current context, told to the editor, which starts it when a model wants its tools. */
import { type Disposable, EventEmitter, type ExtensionContext, lm, McpStdioServerDefinition } from 'vscode';
import type { CurrentBroker } from '../broker/current.ts';

export function registerMcpServer(extension: ExtensionContext, broker: CurrentBroker): Disposable[] {
  const changed = new EventEmitter<void>();
  const program = extension.asAbsolutePath('dist/mcp.mjs');
  return [
    changed,
    broker.onDidChange(() => changed.fire()),
    lm.registerMcpServerDefinitionProvider('landfall.mcp', {
      onDidChangeMcpServerDefinitions: changed.event,
      provideMcpServerDefinitions: () => {
        if (broker.connection === undefined) return [];
        const { name, url, project } = broker.connection.context;
        const version = `${extension.extension.packageJSON.version} ${url} ${project}`;
        // On a desktop the editor's own binary runs it, as Node.
        const env = { ELECTRON_RUN_AS_NODE: '1', LANDFALL_URL: url, LANDFALL_PROJECT: project };
        return [
          new McpStdioServerDefinition(`Landfall (${name})`, process.execPath, [program], env, version),
        ];
      },
      /** The token is read when it is needed, and is in no definition that the editor keeps. */
      resolveMcpServerDefinition: async (server: McpStdioServerDefinition) => {
        const { connection } = broker;
        if (connection === undefined || connection.context.url !== server.env.LANDFALL_URL)
          throw new Error('The window is connected to another broker by now.');
        const token = await connection.token();
        if (token === undefined)
          throw new Error(`Use the command "Landfall: Sign In" for ${connection.context.url} first.`);
        server.env = { ...server.env, LANDFALL_TOKEN: token };
        return server;
      },
    }),
  ];
}
