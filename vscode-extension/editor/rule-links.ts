/** Links from the names of rules to where they are written: in the workspace, else as the broker keeps them. */
import { commands, type ExtensionContext, Uri, window } from 'vscode';
import type { BaseLanguageClient } from 'vscode-languageclient';
import { type BrokerConnection, body } from '../broker/connection.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import { storedPolicyUri } from '../estate/document-provider.ts';
import { type RuleName, rulePlaceRequest } from '../language/protocol.ts';
import { openRule, ruleLink, showLine } from './panel.ts';
import type { Links } from './reports.ts';

/** Rules of a text, each with the words that tell of it. */
export function ruleLinks(
  rules: Iterable<{ policy: string; rule: string }>,
  from: Omit<RuleName, 'policy' | 'rule'>,
): Links {
  return new Map(
    [...rules].map(({ policy, rule }) => [`${policy}/${rule}`, ruleLink({ ...from, policy, rule })]),
  );
}

/** Opens a rule where it is written now: a link may be older than the last keystroke. */
export function registerOpenRule(
  context: ExtensionContext,
  client: BaseLanguageClient,
  current: CurrentEstate,
): void {
  context.subscriptions.push(
    commands.registerCommand(openRule, async (named: RuleName) => {
      const { policy, rule, atBroker = false } = named;
      try {
        const connection = atBroker ? current.estate?.connection : undefined;
        const stored = connection && (await storedSource(connection, policy));
        const place = await client.sendRequest(rulePlaceRequest, { ...named, stored });
        if (place?.uri !== undefined) return await showLine(Uri.parse(place.uri), place.line);
        if (place) return await showLine(storedPolicyUri(policy), place.line);
        const where = connection ? `, nor does ${connection.context.name}` : '';
        void window.showInformationMessage(
          `Landfall: no file of the workspace has the rule ${policy}/${rule}${where}.`,
        );
      } catch (error) {
        void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
      }
    }),
  );
}

/** The policy's text as it is in force; undefined where the broker has none of the name. */
async function storedSource({ client }: BrokerConnection, policy: string): Promise<string | undefined> {
  const asked = client.GET('/v1/policies/{policy}', { params: { path: { policy } } });
  if ((await asked).response.status === 404) return undefined;
  return (await body(asked)).source;
}
