import { cloudStorageUrl, imageUrlError, imageUrlSecret, importableFrom, s3Object } from './image-sources.ts';

const sha256 = 'a'.repeat(64);

test.each([
  ['s3://disks/a/golden image.raw', 'disks', 'a/golden image.raw'],
  ['https://disks.s3.eu-central-1.amazonaws.com/a/golden%20image.raw', 'disks', 'a/golden image.raw'],
  ['https://my.disks.s3.amazonaws.com/golden.raw', 'my.disks', 'golden.raw'],
  ['https://s3.dualstack.eu-west-1.amazonaws.com/disks/golden.raw', 'disks', 'golden.raw'],
  ['https://s3-us-west-2.amazonaws.com/disks/golden.raw', 'disks', 'golden.raw'],
  ['https://disks.s3.cn-north-1.amazonaws.com.cn/golden.raw', 'disks', 'golden.raw'],
])('%s is an object in S3', (url, bucket, key) => {
  expect(s3Object(url)).toEqual({ bucket, key });
  expect(imageUrlError('aws', { url, format: 'raw' })).toBeUndefined();
});

test.each([
  'https://example.org/golden.raw',
  'http://disks.s3.amazonaws.com/golden.raw',
  'https://disks.s3.amazonaws.com.example.org/golden.raw',
  'https://example.org/disks.s3.amazonaws.com/golden.raw',
  'https://disks.s3.amazonaws.com/%zz.raw',
  's3://disks',
  's3://disks/',
])('%s is none, and EC2’s refusal says where to upload the disk', (url) => {
  expect(s3Object(url)).toBeUndefined();
  const wrong = imageUrlError('aws', { url, format: 'raw' });
  expect(wrong).toMatchObject({
    field: 'url',
    message: expect.stringContaining(`upload the disk to a bucket`),
  });
  expect(wrong?.message).toContain(importableFrom.aws);
});

test.each(['gs://disks/a/b.tar.gz', 'https://storage.googleapis.com/disks/a/b.tar.gz'])(
  '%s is given to Compute Engine in its own form',
  (url) => {
    expect(cloudStorageUrl(url)).toBe('https://storage.googleapis.com/disks/a/b.tar.gz');
    expect(imageUrlError('gcp', { url, format: 'raw' })).toBeUndefined();
  },
);

test.each([
  ['gcp', 'gs://disks/disk.raw', 'raw', 'url'],
  ['gcp', 'https://storage.googleapis.com.example.org/disks/b.tar.gz', 'raw', 'url'],
  ['gcp', 'gs://disks/b.tar.gz', 'vhd', 'format'],
  ['azure', 'https://account.blob.core.windows.net/vhds/disk.raw', 'vhd', 'url'],
  ['azure', 'https://account.blob.core.windows.net/disk.vhd', 'vhd', 'url'],
  ['azure', 'https://account.file.core.windows.net/vhds/disk.vhd', 'vhd', 'url'],
  ['azure', 'https://account.blob.core.windows.net.example.org/vhds/disk.vhd', 'vhd', 'url'],
  ['azure', 'https://account.blob.core.windows.net/vhds/disk.vhd', 'raw', 'format'],
  ['aws', 's3://disks/disk.qcow2', 'qcow2', 'format'],
  ['onprem', 'file:///etc/shadow', 'raw', 'url'],
  ['onprem', 's3://disks/disk.raw', 'raw', 'url'],
  ['onprem', 'https://example.org/disk.vmdk', 'vmdk', 'format'],
] as const)('%s does not import %s as %s: %s', (provider, url, format, field) => {
  expect(
    imageUrlError(provider, { url, format, ...(provider === 'onprem' ? { sha256 } : {}) }),
  ).toMatchObject({ field });
});

test('a checksum is compared on-prem, where it is needed, and refused where nobody would compare it', () => {
  const url = 'https://example.org/disk.raw';
  expect(imageUrlError('onprem', { url, format: 'raw', sha256 })).toBeUndefined();
  expect(imageUrlError('onprem', { url, format: 'raw' })).toMatchObject({ field: 'sha256' });
  const vhd = { url: 'https://account.z01.blob.storage.azure.net/vhds/disk.vhd', format: 'vhd' } as const;
  expect(imageUrlError('azure', vhd)).toBeUndefined();
  expect(imageUrlError('azure', { ...vhd, sha256 })).toMatchObject({
    field: 'sha256',
    message: expect.stringContaining('leave it out'),
  });
});

test.each([
  ['a query', 'https://account.blob.core.windows.net/vhds/disk.vhd?sv=2024&sig=secret'],
  ['a query', 's3://disks/disk.raw#secret'],
  ['a user or password', 'https://somebody:secret@example.org/disk.raw'],
  ['a user or password', 'HTTPS://secret@example.org/disk.raw'],
])('%s in a URL is refused, in words that do not repeat it', (what, url) => {
  const wrong = imageUrlSecret(url);
  expect(wrong).toMatchObject({ field: 'url', message: expect.stringContaining(what) });
  expect(wrong?.message).not.toContain('secret@');
  expect(wrong?.message).not.toContain('sig=');
});

test('an address alone holds no secret, nor does an @ in a name', () => {
  for (const url of ['https://example.org/disk.raw', 's3://disks/me@work.raw', 'gs://disks/b.tar.gz'])
    expect(imageUrlSecret(url)).toBeUndefined();
});
