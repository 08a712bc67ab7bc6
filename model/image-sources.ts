/** From what URL an image can be imported at each provider: the broker refuses others by these rules, and the adapters read by them. */
import type { Schemas } from './index.ts';

/** What an image is imported from. */
export type ImageUrl = NonNullable<NonNullable<Schemas['CustomImageSpec']['from']>['url']>;
type Provider = Schemas['SiteSpec']['provider'];

/** What is wrong with which field of it. The message never repeats the URL: what is wrong with it may be a secret in it. */
export interface ImageUrlError {
  field: keyof ImageUrl;
  message: string;
}

/** The URLs that each provider takes, for a person: what `describe()` says, and what a refusal ends with. */
export const importableFrom = {
  aws: 's3://BUCKET/KEY, or the https URL of an object in S3; format raw, vhd or vmdk',
  azure: 'https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME.vhd; format vhd',
  gcp: 'gs://BUCKET/NAME.tar.gz or https://storage.googleapis.com/BUCKET/NAME.tar.gz, with the disk as disk.raw in it; format raw',
  onprem: 'http or https; format raw, qcow2 or vhd',
} as const satisfies Record<Provider, string>;

/** Where a disk has to be uploaded that is somewhere else. */
const uploadedTo = {
  aws: 'EC2 imports from S3 alone: upload the disk to a bucket, and give',
  azure:
    'Azure reads images from its own storage alone: upload the disk as a page blob to a storage account, and give',
  gcp: 'Compute Engine reads images from Cloud Storage alone: upload the disk to a bucket, and give',
  onprem: 'the URL of an image is',
} as const satisfies Record<Provider, string>;

const formats = {
  aws: ['raw', 'vhd', 'vmdk'],
  azure: ['vhd'],
  gcp: ['raw'],
  onprem: ['raw', 'qcow2', 'vhd'],
} as const satisfies Record<Provider, readonly ImageUrl['format'][]>;

const who = { aws: 'EC2', azure: 'Azure', gcp: 'Compute Engine', onprem: 'a host' } as const;

const reads = {
  aws: (url: string) => s3Object(url) !== undefined,
  azure: isVhdBlob,
  gcp: (url: string) => cloudStorageUrl(url) !== undefined,
  onprem: (url: string) => /^https?:\/\//.test(url),
} satisfies Record<Provider, (url: string) => boolean>;

/**
 * A URL is kept with the image and shown to whoever reads it, so nothing in it may let its reader in: not the signature of a shared
 * link, and no password.
 */
export function imageUrlSecret(url: string): ImageUrlError | undefined {
  const [, user, , query] = /^[a-z0-9+.-]+:\/\/(?:([^/?#]*)@)?([^?#]*)([?#].*)?$/is.exec(url) ?? [];
  const part = user !== undefined ? 'a user or password' : query === undefined ? undefined : 'a query';
  if (part === undefined) return undefined;
  return {
    field: 'url',
    message: `must be an address without ${part}: it is kept and shown, so a signature or password in it would be no secret any more. Let the provider’s account read the object instead`,
  };
}

/** Why the provider cannot import it; undefined where it can, as far as the words of the request say. */
export function imageUrlError(
  provider: Provider,
  { url, format, sha256 }: ImageUrl,
): ImageUrlError | undefined {
  if (!reads[provider](url))
    return { field: 'url', message: `${uploadedTo[provider]} ${importableFrom[provider]}` };
  const known: readonly string[] = formats[provider];
  if (!known.includes(format))
    return {
      field: 'format',
      message: `${who[provider]} imports ${known.join(', ')}, not ${format}: convert the disk (qemu-img convert)`,
    };
  if (provider !== 'onprem' && sha256 !== undefined)
    return {
      field: 'sha256',
      message: `${who[provider]} reads the object by itself and compares no SHA-256: compare it where you upload the disk, and leave it out here`,
    };
  if (provider === 'onprem' && !/^[0-9a-f]{64}$/i.test(sha256 ?? ''))
    return {
      field: 'sha256',
      message: 'must be given on-prem: the SHA-256 of the file, 64 hexadecimal digits',
    };
  return undefined;
}

/** `amazonaws.com` and that of AWS in China. */
const s3Host = String.raw`s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?`;
const s3Forms = [
  /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/,
  new RegExp(`^https://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\\.${s3Host}/(.+)$`),
  new RegExp(`^https://${s3Host}/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)$`),
];

/** The object in S3 that a URL names; undefined where it names none. */
export function s3Object(url: string): { bucket: string; key: string } | undefined {
  for (const form of s3Forms) {
    const [, bucket, path] = form.exec(url) ?? [];
    if (bucket === undefined || path === undefined) continue;
    const key = url.startsWith('s3:') ? path : decoded(path);
    return key === undefined ? undefined : { bucket, key };
  }
  return undefined;
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function isVhdBlob(url: string): boolean {
  return /^https:\/\/[a-z0-9]{3,24}(?:\.z\d+)?\.blob\.(?:core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|storage\.azure\.net)\/.+\/[^/]+\.vhd$/.test(
    url,
  );
}

/** A URL of a tar.gz in Cloud Storage in the form that Compute Engine takes; undefined where it names none. */
export function cloudStorageUrl(url: string): string | undefined {
  const [, bucket, name] =
    /^(?:gs:\/\/|https:\/\/storage\.googleapis\.com\/)([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/(.+\.tar\.gz)$/.exec(
      url,
    ) ?? [];
  return bucket && name ? `https://storage.googleapis.com/${bucket}/${name}` : undefined;
}
