/** The estate's tools, offered to the editor's language models. */
import { type EstateTool, estateTools } from '@landfall/mcp/tools.ts';
import {
  type Disposable,
  LanguageModelTextPart,
  type LanguageModelTool,
  LanguageModelToolResult,
  lm,
  MarkdownString,
} from 'vscode';
import type { CurrentEstate } from './activate.ts';

export function registerTools(current: CurrentEstate): Disposable[] {
  return Object.entries(estateTools).map(([name, tool]) =>
    lm.registerTool(name, asTool(current, tool as EstateTool<object>)),
  );
}

function asTool(current: CurrentEstate, tool: EstateTool<object>): LanguageModelTool<object> {
  const connection = () => {
    if (current.estate === undefined)
      throw new Error(
        'No broker is connected. Ask the person to run the command "Landfall: Switch Context".',
      );
    return current.estate.connection;
  };
  return {
    async prepareInvocation({ input }) {
      const question = 'prepare' in tool ? (await tool.prepare(connection(), input)).question : undefined;
      return {
        invocationMessage: tool.doing(input),
        ...(question && {
          confirmationMessages: {
            title: question.message,
            // Names come from elsewhere: they are text, not markup.
            message: new MarkdownString().appendText(question.detail),
          },
        }),
      };
    },
    async invoke({ input }) {
      const answer =
        'prepare' in tool
          ? await (await tool.prepare(connection(), input)).run()
          : await tool.run(connection(), input);
      return new LanguageModelToolResult([new LanguageModelTextPart(JSON.stringify(answer))]);
    },
  };
}
