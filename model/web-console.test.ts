import { webConsole } from './web-console.ts';

type Site = Parameters<typeof webConsole>[1];
const site = (spec: Site['spec']): Site => ({ name: 'a-site', spec });
const at = (kind: string, externalReference?: string, region?: string) => ({
  kind,
  status: { externalReference, region },
});

test('of AWS it is the page of the kind in the console of the region and its partition', () => {
  const aws = site({ provider: 'aws' });
  expect(webConsole(at('Instance', 'i-0ab', 'eu-central-1'), aws).url).toBe(
    'https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#InstanceDetails:instanceId=i-0ab',
  );
  expect(webConsole(at('Network', 'vpc-1', 'us-east-1'), aws).url).toBe(
    'https://us-east-1.console.aws.amazon.com/vpcconsole/home?region=us-east-1#VpcDetails:VpcId=vpc-1',
  );
  expect(webConsole(at('Volume', 'vol-1', 'us-gov-west-1'), aws).url).toMatch(
    /^https:\/\/us-gov-west-1\.console\.amazonaws-us-gov\.com\/.*#VolumeDetails:volumeId=vol-1$/,
  );
  expect(webConsole(at('Address', 'eipalloc-1', 'cn-north-1'), aws).url).toContain(
    '//cn-north-1.console.amazonaws.cn/',
  );
});

test('of Azure it is the id behind the address of the portal, with what no address may have written otherwise', () => {
  const id = '/subscriptions/0-1/resourceGroups/a group/providers/Microsoft.Compute/virtualMachines/web';
  expect(webConsole(at('Instance', id, 'westeurope'), site({ provider: 'azure' })).url).toBe(
    `https://portal.azure.com/#@/resource${id.replace(' ', '%20')}`,
  );
});

test('of Google Cloud it is by the collection of the reference, in the project of the site', () => {
  const gcp = site({ provider: 'gcp', project: 'shop-1' });
  const page = (reference: string, of = gcp) => webConsole(at('Instance', reference), of).url;
  expect(page('zones/europe-west1-b/instances/web')).toBe(
    'https://console.cloud.google.com/compute/instancesDetail/zones/europe-west1-b/instances/web?project=shop-1',
  );
  expect(page('global/snapshots/s')).toBe(
    'https://console.cloud.google.com/compute/snapshotsDetail/projects/shop-1/global/snapshots/s?project=shop-1',
  );
  expect(page('global/networks/n')).toContain('/networking/networks/details/n?project=shop-1');
  // Without one the console would show another project's.
  expect(webConsole(at('Network', 'global/networks/n'), site({ provider: 'gcp' })).url).toBeUndefined();
});

test('where there is none it says why: a data centre of one’s own, a simulator, nothing made yet, a reference of something else', () => {
  expect(webConsole(at('Instance', 'u-1', 'local'), site({ provider: 'onprem' })).reason).toContain(
    'your own',
  );
  const simulated = site({ provider: 'aws', endpoint: 'http://127.0.0.1:5000' });
  expect(webConsole(at('Instance', 'i-1', 'us-east-1'), simulated)).toEqual({
    reason: 'the site a-site has an endpoint of its own, http://127.0.0.1:5000, which has no web console',
  });
  expect(webConsole(at('Instance'), site({ provider: 'aws' })).reason).toContain('nothing of it');
  for (const [provider, reference] of [
    ['azure', 'i-1'],
    ['gcp', 'https://evil.example/x'],
    ['gcp', 'global/constructor/x'],
  ] as const)
    expect(webConsole(at('Instance', reference), site({ provider, project: 'p-1' })).reason).toContain(
      reference,
    );
  // What stands in an address is not taken from elsewhere unread.
  expect(webConsole(at('Instance', 'i-1', 'evil.example/'), site({ provider: 'aws' })).url).toBeUndefined();
});
