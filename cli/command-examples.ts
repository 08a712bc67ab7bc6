/** One or two real uses of each command, shown by its `--help`; a command's name is its words without `landfall`. */
export const commandExamples: Record<string, readonly string[]> = {
  plan: ['landfall plan -f examples/anywhere.yaml', 'landfall plan -f examples/fleet.yaml --count 20 --full'],
  apply: ['landfall apply -f examples/first.yaml --wait', 'landfall apply -f manifests/ --dry-run'],
  get: ['landfall get instances -o wide', 'landfall get offers --filter "provider=aws" --limit 10'],
  describe: ['landfall describe instance first'],
  explain: ['landfall explain instance first', 'landfall explain instance first --full'],
  ssh: ['landfall ssh first', 'landfall ssh first -- cat /etc/os-release'],
  console: ['landfall console first --follow'],
  start: ['landfall start instance first --wait'],
  stop: ['landfall stop instance first --wait'],
  reboot: ['landfall reboot instance first --wait'],
  resize: ['landfall resize instance first --vcpus 2 --memory 1 --wait'],
  attach: ['landfall attach volume data --to web --wait', 'landfall attach address front --to web'],
  detach: ['landfall detach volume data --wait'],
  delete: [
    'landfall delete instance first --wait',
    'landfall delete -f examples/first.yaml --ignore-not-found',
  ],
  compliance: ['landfall compliance'],
  acknowledge: ['landfall acknowledge violation 01a2 --reason "moves on Monday"'],
  approve: ['landfall approve approval 01a2 --reason "agreed with finance"'],
  reject: ['landfall reject approval 01a2 --reason "use a smaller machine"'],
  audit: ['landfall audit'],
  'site add': ['landfall site add -f site.yaml --dry-run'],
  'site get': ['landfall site get', 'landfall site get local -o yaml'],
  'site delete': ['landfall site delete aws-1'],
  'policy put': ['landfall policy put -f examples/policies/eu-restricted.yaml'],
  'policy validate': [
    'landfall policy validate -f policies/',
    'landfall policy validate -f new.yaml --server',
  ],
  'policy test': [
    'landfall policy test -f examples/policies/eu-restricted.yaml',
    'landfall policy test -f policies/ -o junit > results.xml',
  ],
  'policy fmt': ['landfall policy fmt -f new.yaml --write', 'landfall policy fmt -f policies/ --check'],
  'policy explain': ['landfall policy explain residency -f examples/policies/eu-restricted.yaml'],
  'policy what-if': [
    'landfall policy what-if -f new.yaml --since 7d',
    'landfall policy what-if --without eu-restricted',
  ],
  'policy pack': ['landfall policy pack', 'landfall policy pack cost-guard > cost-guard.yaml'],
  'policy list': ['landfall policy list'],
  'policy get': ['landfall policy get eu-restricted -o yaml'],
  'policy delete': ['landfall policy delete eu-restricted'],
  'catalogue list': ['landfall catalogue list'],
  'catalogue refresh': ['landfall catalogue refresh azure --region westeurope'],
  'catalogue import': ['landfall catalogue import -f aws.csv --provider aws --dry-run'],
  'catalogue remove': ['landfall catalogue remove aws'],
  'catalogue check': ['landfall catalogue check aws.csv --provider aws'],
  'operation get': ['landfall operation get', 'landfall operation get 01a2 -o yaml'],
  'operation wait': ['landfall operation wait 01a2 --timeout 10m'],
  'operation cancel': ['landfall operation cancel 01a2 --wait'],
  events: ['landfall events --watch', 'landfall events --filter "type=instance.placed" --limit 20'],
  login: ['landfall login http://127.0.0.1:7420 --name here'],
  whoami: ['landfall whoami'],
  'context list': ['landfall context list'],
  'context use': ['landfall context use here --project shop'],
  'context show': ['landfall context show here'],
  'context delete': ['landfall context delete here'],
  'token create': ['landfall token create ci --role operator --expires-in 30d'],
  'token list': ['landfall token list'],
  'token revoke': ['landfall token revoke ci'],
  completion: ['source <(landfall completion bash)', 'landfall completion fish | source'],
  version: ['landfall version'],
};

/** What `--help` adds for a command. */
export function examplesOf(name: string): string {
  const [first, ...more] = commandExamples[name] ?? [];
  if (first === undefined) return '';
  return `\nExample${more.length > 0 ? 's' : ''}:\n${[first, ...more].map((line) => `  ${line}`).join('\n')}`;
}
