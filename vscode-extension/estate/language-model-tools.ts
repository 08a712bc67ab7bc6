/** The estate's tools, offered to the editor's language models. */
import { type ChangingTool, type EstateTool, estateTools } from '@landfall/mcp/tools.ts';
import {
  type Disposable,
  LanguageModelTextPart,
  type LanguageModelTool,
  LanguageModelToolResult,
  lm,
  MarkdownString,
} from 'vscode';
import type { CurrentEstate } from './activate.ts';
import { AskedChanges } from './asked-changes.ts';

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
  const asked = 'prepare' in tool ? new AskedChanges(tool as ChangingTool<object>) : undefined;
  return {
    async prepareInvocation({ input }) {
      const question = await asked?.ask(connection(), input);
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
      const answer = 'run' in tool ? await tool.run(connection(), input) : await asked!.run(input);
      return new LanguageModelToolResult([new LanguageModelTextPart(JSON.stringify(answer))]);
    },
  };
}
