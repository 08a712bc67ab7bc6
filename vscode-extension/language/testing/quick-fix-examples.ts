/** Texts with a problem, and what becomes of them by a quick fix. */
import type { DiagnosticCode } from '../diagnostic-codes.ts';

const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n';
const VARIABLES = '  variables:\n    inEu: offer.jurisdiction == "EU"\n';
/** A policy with one rule `a`. */
export const rule = (text: string): string => `${HEAD}${VARIABLES}  rules:\n  - name: a\n    ${text}\n`;
const SOUND = rule('deny: offer.burstable');
/** An instance with one more line in its spec, or one other in the place of its image. */
const instance = (line: string, labels = ''): string =>
  `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: web${labels}}\nspec:\n  ${line}\n  vcpus: 1\n  memoryGiB: 1\n`;
const other = (kind: string, spec: string, name = 'x'): string =>
  `apiVersion: landfall.dev/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
export const withTest = (offers: string): string =>
  `${SOUND}tests:\n  - name: t\n    offers: ${offers}\n    expect: {unplaceable: true}\n`;
const project = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: q, scope: projects/shop}
spec:
  rules:
  - {name: a, deny: offer.vcpus > 2, override: true}
`;

/** A problem, one of its repairs, and the text before and after. */
export const EXAMPLES: [code: DiagnosticCode, title: string, before: string, after: string, name?: string][] =
  [
    [
      'yaml-syntax',
      'Put commas between the fields',
      `${HEAD}  rules:\n  - {name: a deny: offer.burstable, owner: ann}\n`,
      `${HEAD}  rules:\n  - {name: a, deny: offer.burstable, owner: ann}\n`,
    ],
    [
      'missing-field',
      'Add expect: {unplaceable: true}',
      withTest('fixtures/offers.yaml').replace('    expect: {unplaceable: true}\n', ''),
      withTest('fixtures/offers.yaml'),
    ],
    [
      'yaml-syntax',
      'Remove the second deny',
      rule('deny: offer.burstable\n    deny: offer.vcpus > 2'),
      rule('deny: offer.burstable'),
    ],
    [
      'yaml-syntax',
      'Write tabs as two spaces each',
      `${HEAD}\trules:\n\t- {name: a, deny: offer.burstable}\n`,
      `${HEAD}  rules:\n  - {name: a, deny: offer.burstable}\n`,
    ],
    [
      'yaml-syntax',
      'Put the value in quotes',
      rule('deny: offer.burstable\n    message: not here: it is slow'),
      rule("deny: offer.burstable\n    message: 'not here: it is slow'"),
    ],
    [
      'yaml-syntax',
      'Put the value in quotes',
      rule('require: "EU" == offer.jurisdiction'),
      rule(`require: '"EU" == offer.jurisdiction'`),
    ],
    [
      'yaml-syntax',
      'Close the quote',
      rule('deny: offer.burstable\n    message: "slow'),
      rule('deny: offer.burstable\n    message: "slow"'),
    ],
    ['yaml-warning', 'Remove !text', rule('deny: !text offer.burstable'), SOUND],
    [
      'missing-field',
      'Add weight: 0.03',
      rule('prefer: offer.burstable'),
      rule('prefer: offer.burstable\n    weight: 0.03'),
    ],
    [
      'missing-field',
      'Add name: example',
      SOUND.replace('{name: p}', '{scope: projects/x}'),
      SOUND.replace('{name: p}', '{scope: projects/x, name: example}'),
    ],
    ['missing-field', 'Add by: provider', rule('spread: {min: 2}'), rule('spread: {min: 2, by: provider}')],
    [
      'missing-field',
      'Add image: debian-12',
      instance('diskGiB: 10'),
      `${instance('diskGiB: 10')}  image: debian-12\n`,
    ],
    [
      'missing-field',
      'Add subscription: 00000000-0000-0000-0000-000000000000',
      other('Site', '{provider: azure, regions: [westeurope]}'),
      other(
        'Site',
        '{provider: azure, regions: [westeurope], subscription: 00000000-0000-0000-0000-000000000000}',
      ),
    ],
    [
      'missing-field',
      'Add pricePerHour: 1',
      '- {provider: aws, region: r, instanceType: t}\n- {provider: aws, region: r, instanceType: t, pricePerHour: 1}\n',
      '- {provider: aws, region: r, instanceType: t, pricePerHour: 1}\n- {provider: aws, region: r, instanceType: t, pricePerHour: 1}\n',
      'offers.yaml',
    ],
    [
      'unknown-field',
      'Change to require',
      rule('requires: offer.vcpus > 1'),
      rule('require: offer.vcpus > 1'),
    ],
    [
      'unknown-field',
      'Change to vcpus',
      instance('image: debian-12').replace('vcpus', 'vcpu'),
      instance('image: debian-12'),
    ],
    ['unknown-field', 'Remove colour', rule('colour: blue\n    deny: offer.burstable'), SOUND],
    [
      'wrong-type',
      'Change to "12"',
      rule('deny: offer.burstable\n    owner: 12'),
      rule('deny: offer.burstable\n    owner: "12"'),
    ],
    [
      'wrong-type',
      'Change to "1"',
      instance('image: debian-12', ', labels: {tier: 1}'),
      instance('image: debian-12', ', labels: {tier: "1"}'),
    ],
    [
      'wrong-type',
      'Change to 4',
      instance('image: debian-12').replace('memoryGiB: 1', 'memoryGiB: 4 GiB'),
      instance('image: debian-12').replace('memoryGiB: 1', 'memoryGiB: 4'),
    ],
    [
      'wrong-type',
      'Change to true',
      rule('deny: offer.burstable\n    overridable: yes'),
      rule('deny: offer.burstable\n    overridable: true'),
    ],
    [
      'wrong-type',
      'Change to [eu-central-1]',
      instance('image: debian-12\n  placement: {regions: eu-central-1}'),
      instance('image: debian-12\n  placement: {regions: [eu-central-1]}'),
    ],
    [
      'wrong-type',
      'Change to 20 USD',
      rule('budget: {group: project, per: month, limit: 20}'),
      rule('budget: {group: project, per: month, limit: 20 USD}'),
    ],
    [
      'wrong-value',
      'Change to reject',
      rule('deny: offer.burstable\n    missing: regect'),
      rule('deny: offer.burstable\n    missing: reject'),
    ],
    [
      'wrong-value',
      'Change to pass',
      rule('deny: offer.burstable\n    missing: regect'),
      rule('deny: offer.burstable\n    missing: pass'),
    ],
    [
      'wrong-value',
      'Change to arm64',
      instance('image: debian-12\n  architecture: arm46'),
      instance('image: debian-12\n  architecture: arm64'),
    ],
    ['wrong-value', 'Change to 90m', rule('ttl: {max: 1.5 hours}'), rule('ttl: {max: 90m}')],
    ['wrong-value', 'Change to 14d', rule('ttl: {max: 2 weeks}'), rule('ttl: {max: 14d}')],
    ['wrong-value', 'Change to 0.5 USD/h', rule('maxPrice: $0.5 per hour'), rule('maxPrice: 0.5 USD/h')],
    [
      'wrong-value',
      'Change to 0.03',
      rule('prefer: offer.burstable\n    weight: 3%'),
      rule('prefer: offer.burstable\n    weight: 0.03'),
    ],
    [
      'wrong-value',
      'Change to my-shop',
      SOUND.replace('{name: p}', '{name: My Shop}'),
      SOUND.replace('{name: p}', '{name: my-shop}'),
    ],
    [
      'wrong-value',
      'Change to projects/shop',
      SOUND.replace('{name: p}', '{name: p, scope: shop}'),
      SOUND.replace('{name: p}', '{name: p, scope: projects/shop}'),
    ],
    [
      'wrong-value',
      'Change to my-web',
      instance('image: debian-12').replace('name: web', 'name: My Web'),
      instance('image: debian-12').replace('name: web', 'name: my-web'),
    ],
    [
      'wrong-value',
      'Change to 1',
      instance('image: debian-12').replace('vcpus: 1', 'vcpus: 0'),
      instance('image: debian-12'),
    ],
    [
      'wrong-value',
      'Change to Europe/Berlin',
      rule('window: {deny: "Fri 18:00/60h", timeZone: Europe/Berln}'),
      rule('window: {deny: "Fri 18:00/60h", timeZone: Europe/Berlin}'),
    ],
    [
      'wrong-value',
      'Change to 2099-12-24',
      `${SOUND}  exceptions:\n  - {rule: a, owner: o, reason: r, expires: 24.12.2099}\n`,
      `${SOUND}  exceptions:\n  - {rule: a, owner: o, reason: r, expires: 2099-12-24}\n`,
    ],
    [
      'wrong-value',
      'Remove pricing',
      other(
        'Site',
        '{provider: aws, regions: [eu-central-1], pricing: {vcpuHour: 1, gibHour: 1, currency: USD}}',
      ),
      other('Site', '{provider: aws, regions: [eu-central-1]}'),
    ],
    ['unknown-name', 'Change to offer', rule('deny: ofer.burstable'), SOUND],
    [
      'unknown-name',
      'Write aws as "aws"',
      rule('require: offer.provider == aws'),
      rule('require: offer.provider == "aws"'),
    ],
    ['unknown-name', 'Write burstable as offer.burstable', rule('deny: burstable'), SOUND],
    ['unknown-name', 'Write inEu as variables.inEu', rule('require: inEu'), rule('require: variables.inEu')],
    [
      'unknown-name',
      'Change to cheap',
      `${SOUND.replace('name: a', 'name: cheap')}  exceptions:\n  - {rule: cheep, owner: o, reason: r, expires: 2099-01-01}\n`,
      `${SOUND.replace('name: a', 'name: cheap')}  exceptions:\n  - {rule: cheap, owner: o, reason: r, expires: 2099-01-01}\n`,
    ],
    [
      'no-rules',
      'Add a rule',
      `${HEAD}  rules: []\n`,
      `${HEAD}  rules: [{name: example, require: "true"}]\n`,
    ],
    ['rule-effect', 'Add require: "true"', rule('message: none'), rule('message: none\n    require: "true"')],
    [
      'rule-effect',
      'Write both as one require',
      rule('require: offer.vcpus > 2\n    deny: offer.burstable'),
      rule('require: (offer.vcpus > 2) && !(offer.burstable)'),
    ],
    ['rule-effect', 'Remove weight', rule('deny: offer.burstable\n    weight: 0.1'), SOUND],
    ['rule-effect', 'Add min: 2', rule('spread: {by: zone}'), rule('spread: {by: zone, min: 2}')],
    ['rule-effect', 'Add required: [owner]', rule('labels: {}'), rule('labels: {required: [owner]}')],
    [
      'duplicate-policy',
      'Rename to p-2',
      `${SOUND}---\n${SOUND}`,
      `${SOUND}---\n${SOUND.replace('{name: p}', '{name: p-2}')}`,
    ],
    [
      'duplicate-rule',
      'Rename to a-3',
      `${SOUND}  - {name: a-2, deny: offer.vcpus > 9}\n  - {name: a, deny: offer.vcpus > 8}\n`,
      `${SOUND}  - {name: a-2, deny: offer.vcpus > 9}\n  - {name: a-3, deny: offer.vcpus > 8}\n`,
    ],
    [
      'expired-exception',
      'Remove the expired exception',
      `${SOUND}  exceptions:\n  - {rule: a, owner: x, reason: r, expires: 2020-01-01}\n  - {rule: a, owner: y, reason: r, expires: 2099-01-01}\n`,
      `${SOUND}  exceptions:\n  - {rule: a, owner: y, reason: r, expires: 2099-01-01}\n`,
    ],
    [
      'expired-exception',
      'Remove the expired exception',
      `${SOUND}  exceptions:\n  - {rule: a, owner: x, reason: r, expires: 2020-01-01}\n`,
      SOUND,
    ],
    [
      'cel-syntax',
      'Write and as &&, = as ==',
      rule('require: offer.vcpus > 2 and offer.provider = "aws"'),
      rule('require: offer.vcpus > 2 && offer.provider == "aws"'),
    ],
    // A `!` without quotes begins a tag of YAML.
    [
      'cel-syntax',
      'Write not as !',
      rule('require: not offer.burstable'),
      rule('require: "!offer.burstable"'),
    ],
    [
      'cel-type',
      'Write "aws" as ["aws"]',
      `${HEAD}  rules:\n  - {name: a, require: offer.provider in "aws"}\n`,
      `${HEAD}  rules:\n  - {name: a, require: 'offer.provider in ["aws"]'}\n`,
    ],
    ['cel-syntax', 'Add )', rule('require: (offer.vcpus > 2'), rule('require: (offer.vcpus > 2)')],
    ['cel-syntax', 'Remove &&', rule('require: offer.vcpus > 2 &&'), rule('require: offer.vcpus > 2')],
    [
      'cel-type',
      'Write 730 as 730.0',
      rule('require: offer.vcpus > 1 && offer.pricePerHour * 730 < 5.0'),
      rule('require: offer.vcpus > 1 && offer.pricePerHour * 730.0 < 5.0'),
    ],
    [
      'cel-type',
      'Write "4" as 4',
      rule(`require: offer.vcpus + "4" > 5`),
      rule('require: offer.vcpus + 4 > 5'),
    ],
    ['cel-type', 'Compare with > 0', rule('require: offer.gpuCount'), rule('require: offer.gpuCount > 0')],
    [
      'cel-type',
      'Write "aws" as ["aws"]',
      rule('require: offer.provider in "aws"'),
      rule('require: offer.provider in ["aws"]'),
    ],
    [
      'cel-pattern',
      `Write "*.large" as ".*.large"`,
      rule('require: offer.instanceType.matches("*.large")'),
      rule('require: offer.instanceType.matches(".*.large")'),
    ],
    [
      'cel-pattern',
      `Write "^(m7g" as "^(m7g)"`,
      rule('require: offer.instanceType.matches("^(m7g")'),
      rule('require: offer.instanceType.matches("^(m7g)")'),
    ],
    [
      'cel-pattern',
      `Write "^(a+)+$" as "^a+$"`,
      rule('require: offer.instanceType.matches("^(a+)+$")'),
      rule('require: offer.instanceType.matches("^a+$")'),
    ],
    [
      'cel-not-allowed',
      'Write has(variables.inEu) as true',
      rule('require: has(variables.inEu) && variables.inEu'),
      rule('require: true && variables.inEu'),
    ],
    [
      'unknown-attribute',
      'Change to jurisdiction',
      rule('require: offer.jurisdicton == "EU"'),
      rule('require: offer.jurisdiction == "EU"'),
    ],
    ...(
      [
        ['redundant-rule', 'require: offer.vcpus > 2', 'require: offer.vcpus > 1'],
        ['always-holds', 'require: offer.vcpus > 2', 'require: offer.vcpus > 0 || offer.vcpus < 4'],
        [
          'never-applies',
          'require: offer.vcpus > 2',
          'when: request.vcpus > 2 && request.vcpus < 2\n    deny: offer.burstable',
        ],
      ] as const
    ).map(([code, kept, without]): (typeof EXAMPLES)[number] => [
      code,
      'Remove the rule',
      `${rule(kept)}  - name: b\n    ${without}\n`,
      rule(kept),
    ]),
    [
      'override',
      "Make rule 'a' of policy 'p' overridable",
      `${SOUND}---\n${project}`,
      `${rule('deny: offer.burstable\n    overridable: true')}---\n${project}`,
    ],
    [
      'override',
      'Remove override',
      `${SOUND}---\n${project}`,
      `${SOUND}---\n${project.replace(', override: true', '')}`,
    ],
    [
      'unknown-value',
      'Change to "eu-central-1"',
      rule('require: offer.region in ["eu-centrall-1", "eu-west-1"]'),
      rule('require: offer.region in ["eu-central-1", "eu-west-1"]'),
    ],
    [
      'wide-spread',
      'Spread over 3',
      rule('spread: {by: provider, min: 4}'),
      rule('spread: {by: provider, min: 3}'),
    ],
    ['unknown-kind', 'Change to Volume', other('Volum', '{sizeGiB: 10}'), other('Volume', '{sizeGiB: 10}')],
    [
      'unknown-kind',
      'Change to Network',
      other('Lan', '{cidr: 10.0.0.0/16}'),
      other('Network', '{cidr: 10.0.0.0/16}'),
    ],
    [
      'duplicate-name',
      'Rename to x-2',
      `${other('Volume', '{sizeGiB: 10}')}---\n${other('Volume', '{sizeGiB: 10}')}`,
      `${other('Volume', '{sizeGiB: 10}')}---\n${other('Volume', '{sizeGiB: 10}', 'x-2')}`,
    ],
    [
      'missing-label',
      'Add the label team',
      `${rule('labels: {required: [team]}')}---\n${instance('image: debian-12')}`,
      `${rule('labels: {required: [team]}')}---\n${instance('image: debian-12', ', labels: {team: ""}')}`,
    ],
    [
      'missing-file',
      'Change to fixtures/offers.yaml',
      withTest('fixtures/ofers.yaml'),
      withTest('fixtures/offers.yaml'),
    ],
  ];
