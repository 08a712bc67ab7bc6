/** How SSH keys, images and policies look. */
import type { Image, Policy, SshKey } from '@landfall/model';
import { moment } from '@landfall/model/quantities.ts';
import { type Plain, plainKinds } from './kinds.ts';
import { dotted, fields, type TreeNode } from './tree.ts';

/** In a group; a policy of a project is in two. */
export function plainNode(group: string, subject: Plain): TreeNode {
  switch (subject.kind) {
    case 'SshKey':
      return sshKeyNode(group, subject);
    case 'Image':
      return imageNode(group, subject);
    case 'PlacementPolicy':
      return policyNode(group, subject);
  }
}

const node = (
  group: string,
  subject: Plain,
): Pick<TreeNode, 'id' | 'label' | 'icon' | 'opens' | 'subject'> => ({
  id: `${group}/${subject.id}`,
  label: subject.name,
  icon: plainKinds[subject.kind].icon,
  opens: 'never',
  subject,
});

function sshKeyNode(group: string, key: SshKey): TreeNode {
  return {
    ...node(group, key),
    description: key.publicKey.split(' ', 1)[0],
    tooltip: fields([
      ['SSH key', key.name],
      ['Fingerprint', key.fingerprint],
      ['Added', moment(key.createdAt, Date.now())],
    ]),
    context: 'sshKey',
  };
}

function imageNode(group: string, image: Image): TreeNode {
  const providers = (['aws', 'azure', 'gcp', 'onprem'] as const).filter((each) => image[each] !== undefined);
  return {
    ...node(group, image),
    description: dotted(image.organization === undefined && 'built in', providers.join(', ')),
    tooltip: fields([
      ['Image', image.name],
      ['Organization', image.organization],
      ['Log in as', image.user],
      ['Smallest disk', image.minDiskGiB && `${image.minDiskGiB} GiB`],
      ['Architectures', image.architectures?.join(', ')],
      ['Providers', providers.join(', ')],
    ]),
    context: image.organization === undefined ? 'image' : 'image own',
  };
}

function policyNode(group: string, policy: Policy): TreeNode {
  return {
    ...node(group, policy),
    description: dotted(policy.mode !== 'enforce' && policy.mode, policy.scope),
    tooltip: fields([
      ['Policy', policy.name],
      ['Scope', policy.scope],
      ['Mode', policy.mode],
      ['Version', policy.version],
      ['In force since', moment(policy.updatedAt, Date.now())],
    ]),
    context: 'policy',
  };
}
