/** The estate's tools over the Model Context Protocol, on the process's standard input and output. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListToolsRequestSchema,
  McpError,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { Question, ToolBroker } from './changes.ts';
import { type EstateTool, estateTools } from './tools.ts';

/** What the process serves. */
export interface ServeOptions {
  broker: ToolBroker;
  /** Whether tools that change something are there. */
  allowWrites: boolean;
  version: string;
  /** Ends it, as the end of standard input does. */
  interrupted: AbortSignal;
}

/** A person takes as long as this to answer. */
const answerWithinMs = 10 * 60_000;

/** Serves until the client leaves. Nothing else may write to standard output meanwhile. */
export async function serveMcp({ broker, allowWrites, version, interrupted }: ServeOptions): Promise<void> {
  const tools = new Map(
    (Object.entries(estateTools) as [string, EstateTool<object>][]).filter(
      ([, tool]) => allowWrites || 'run' in tool,
    ),
  );
  const server = new Server(
    { name: 'landfall', title: 'Landfall', version },
    {
      capabilities: { tools: {} },
      instructions: `Machines of the Landfall broker, in the project ${broker.project} where none is named.${allowWrites ? '' : ' This server only reads.'}`,
    },
  );
  const validator = new AjvJsonSchemaValidator();

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...tools].map(([name, tool]) => described(name, tool)),
  }));

  server.setRequestHandler(
    CallToolRequestSchema,
    async ({ params: { name, arguments: given = {} } }, { signal }) => {
      const tool = tools.get(name);
      if (tool === undefined)
        throw new McpError(
          ErrorCode.InvalidParams,
          Object.hasOwn(estateTools, name)
            ? `${name} changes something, and this server only reads: start it with --allow-writes.`
            : `There is no tool ${name}: there are ${[...tools.keys()].join(', ')}.`,
        );
      const checked = validator.getValidator<object>(tool.inputSchema)(given);
      if (!checked.valid) return failed(`The input of ${name} is wrong: ${checked.errorMessage}`);
      try {
        if ('run' in tool) return answered(await tool.run(broker, given));
        const change = await tool.prepare(broker, given);
        if (server.getClientCapabilities()?.elicitation === undefined)
          return failed(
            `Nothing was changed: this client cannot ask a person. They can do it themselves: \`${change.command}\`.`,
          );
        if (!(await agreed(server, change.question, signal)))
          return failed('The person did not agree. Nothing was changed.');
        return answered(await change.run());
      } catch (error) {
        return failed(inWords(error));
      }
    },
  );

  const closed = new Promise<void>((resolve) => {
    server.onclose = resolve;
  });
  const close = (): void => void server.close();
  // The transport itself does not notice that the client is gone.
  process.stdin.once('end', close);
  interrupted.addEventListener('abort', close);
  await server.connect(new StdioServerTransport());
  if (interrupted.aborted) close();
  await closed;
}

function described(name: string, tool: EstateTool<object>): Tool {
  const { title, description, inputSchema } = tool;
  const changes = 'prepare' in tool;
  return {
    name,
    title,
    description,
    inputSchema,
    annotations: {
      title,
      readOnlyHint: !changes,
      destructiveHint: changes,
      idempotentHint: changes ? tool.idempotent : true,
      openWorldHint: false,
    },
  };
}

/** Asks the person who uses the client; whatever is not a yes is a no. */
async function agreed(
  server: Server,
  { message, detail, button }: Question,
  signal: AbortSignal,
): Promise<boolean> {
  const { action, content } = await server.elicitInput(
    {
      message: `${message} ${detail}`,
      requestedSchema: {
        type: 'object',
        properties: { confirm: { type: 'boolean', title: button, description: message, default: false } },
        required: ['confirm'],
      },
    },
    { signal, timeout: answerWithinMs },
  );
  return action === 'accept' && content?.confirm === true;
}

const answered = (value: unknown): CallToolResult => ({
  content: [{ type: 'text', text: JSON.stringify(value) }],
});

/** A failure the model is told of, so that it can do otherwise. */
const failed = (text: string): CallToolResult => ({ content: [{ type: 'text', text }], isError: true });

/** An error's message, and what it advises. */
function inWords(error: unknown): string {
  const { message, hint } = error as Error & { hint?: string };
  return hint ? `${message} ${hint}` : message;
}
