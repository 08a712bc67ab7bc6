/** In a browser no process can be started, and so no MCP server. */
export const registerMcpServer = (): [] => [];
