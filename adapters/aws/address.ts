import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  DisassociateAddressCommand,
} from '@aws-sdk/client-ec2';
import { changing } from './clients.ts';
import type { Shape } from './resource.ts';

/** An Address is an Elastic IP address. */
export const addressShape: Shape<'Address', 'address'> = {
  kind: 'Address',
  main: 'address',
  removal: ['address'],
  once: false,
  async create(ec2, _, Tags, DryRun) {
    const answer = await changing(
      ec2.send(
        new AllocateAddressCommand({
          Domain: 'vpc',
          TagSpecifications: [{ ResourceType: 'elastic-ip', Tags }],
          DryRun,
        }),
      ),
    );
    return answer.AllocationId;
  },
  view: (_, { raw }) => ({
    // An address that leads nowhere has an empty instance id.
    details: { address: raw.PublicIp ?? '', attachedTo: raw.InstanceId || undefined, children: [] },
    state: 'ready',
  }),
  diff: ({ details }, spec) => (details.attachedTo === spec.attachedTo ? [] : ['attachedTo']),
  async step({ ec2, want }, { ref, raw }, { details }) {
    const InstanceId = want.spec.attachedTo;
    if (details.attachedTo === InstanceId) return true;
    if (InstanceId)
      // Away from another machine, too, in one step.
      await changing(
        ec2.send(new AssociateAddressCommand({ AllocationId: ref, InstanceId, AllowReassociation: true })),
      );
    else await changing(ec2.send(new DisassociateAddressCommand({ AssociationId: raw.AssociationId })));
    return false;
  },
};
