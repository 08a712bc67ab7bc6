import type { ImageWant, InstanceWant, Kind, Want } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { imageOf } from '@landfall/adapters/kinds.ts';
import { builtinImages, builtinUser, type ImageSource } from '../images/store.ts';
import { domainUuid, isUuid } from './identity.ts';
import type { Setting } from './setting.ts';

/** An image that is made or downloaded on the way, or an Image of the user's own on this host, by its UUID. */
export type MachineImage = ImageSource | { own: string };

/** A wanted machine after checking: every value safe to render. */
export interface WantedMachine {
  want: Want<'Instance'>;
  spec: InstanceWant;
  uuid: string;
  memoryMiB: number;
  image: MachineImage;
  user: string;
}

const leastMemoryGiB = 0.125;
const keyForm = /^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( [\u0020-\u007e\u00a0-\uffff]*)?$/;

export function invalid(field: string, message: string): ProviderError {
  return new ProviderError('Invalid', message, { field });
}

/** What holds for every kind: place, stamp, name, labels. Throws Invalid. */
export function checkCommon({ spec, stamp, location }: Want<Kind>, setting: Setting): void {
  if (location.host !== undefined && location.host !== setting.location.host) {
    throw invalid('/location/host', `this is host ${setting.location.host}, not ${location.host}`);
  }
  if (!stamp.broker || !stamp.resource || !Number.isInteger(stamp.attempt) || stamp.attempt < 1) {
    throw invalid('/stamp', 'a stamp needs broker, resource and attempt (1, 2, …)');
  }
  if (spec.name.length === 0 || spec.name.length > 253)
    throw invalid('/name', 'a name has 1 to 253 characters');
  for (const [key, value] of Object.entries({ name: spec.name, ...spec.labels })) {
    if (/[\u0000-\u001f\u007f\ufffe\uffff]/.test(key + value))
      throw invalid(`/labels/${key}`, `${key} has a control character`);
  }
}

/** Checks a want against what this host can make. Throws Invalid with the JSON pointer of the first wrong field. */
export function wantedMachine(want: Want, setting: Setting): WantedMachine {
  const { spec, stamp } = want;
  if (want.kind !== 'Instance') throw invalid('/kind', `a KVM host makes no ${want.kind}`);
  checkCommon(want, setting);
  if (spec.architecture !== 'x86_64')
    throw invalid('/architecture', `this host runs x86_64 guests, not ${spec.architecture}`);
  if (spec.market !== 'onDemand') throw invalid('/market', 'an on-prem host has no spot market');
  if (!Number.isInteger(spec.vcpus) || spec.vcpus < 1)
    throw invalid('/vcpus', 'vcpus is a whole number from 1');
  if (!(spec.memoryGiB >= leastMemoryGiB))
    throw invalid('/memoryGiB', `memory is at least ${leastMemoryGiB} GiB`);
  if (!Number.isInteger(spec.diskGiB) || spec.diskGiB < 1)
    throw invalid('/diskGiB', 'the disk is a whole number of GiB from 1');
  if (spec.gpu && (!Number.isInteger(spec.gpu.count) || spec.gpu.count < 1))
    throw invalid('/gpu/count', 'a machine has a whole number of GPUs from 1, or no gpu');
  if (!Number.isInteger(spec.reboots) || spec.reboots < 0)
    throw invalid('/reboots', 'reboots is a whole number from 0');
  spec.sshKeys.forEach((key, index) => {
    if (!keyForm.test(key))
      throw invalid(
        `/sshKeys/${index}`,
        'not a public key in OpenSSH form: type, base64, comment, on one line',
      );
  });
  const made = imageOf({ spec });
  const image = imageSource(made);
  const user = ('builtin' in image ? builtinUser(image.builtin) : undefined) ?? made.user;
  if (!/^[a-z_][a-z0-9_-]*$/i.test(user)) throw invalid('/image/user', `not a user name: ${user}`);
  return {
    want: want as Want<'Instance'>,
    spec,
    uuid: domainUuid(stamp),
    memoryMiB: Math.round(spec.memoryGiB * 1024),
    image,
    user,
  };
}

function imageSource(image: ImageWant): MachineImage {
  if (image.architecture !== 'x86_64')
    throw invalid('/image/architecture', `this host runs x86_64 images, not ${image.architecture}`);
  if (image.custom !== undefined) {
    if (!isUuid(image.custom)) throw invalid('/image/custom', `not an Image of this host: ${image.custom}`);
    return { own: image.custom };
  }
  const source = image.onprem ?? { builtin: image.name };
  if ('builtin' in source) {
    if (builtinImages.includes(source.builtin)) return source;
    throw invalid(
      '/image',
      `no on-prem image ${source.builtin}: built in are ${builtinImages.join(', ')}; or give a url with its sha256`,
    );
  }
  if (!/^(https?|file):\/\//.test(source.url))
    throw invalid('/image/onprem/url', 'the URL of an image is http, https or file');
  if (!/^[0-9a-f]{64}$/i.test(source.sha256))
    throw invalid('/image/onprem/sha256', 'sha256 is 64 hexadecimal digits');
  return source;
}
