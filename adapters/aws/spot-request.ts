import { DescribeSpotInstanceRequestsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { Interruption } from '../contract.ts';
import { reading } from './clients.ts';

/** Words of a spot request for a machine that EC2 took away; `…-by-user` and `…-by-schedule` are not among them. */
const taken = new Set([
  'instance-terminated-by-price',
  'instance-terminated-no-capacity',
  'instance-terminated-capacity-oversubscribed',
  'instance-terminated-launch-group-constraint',
  'instance-stopped-by-price',
  'instance-stopped-no-capacity',
  'instance-stopped-capacity-oversubscribed',
]);

/**
 * What the spot request of a machine says of its end. It is kept for four hours, and the machine itself is shown for about one,
 * so it still tells when nobody looked in that hour. Undefined for what was no spot machine, or was ended by its user.
 */
export async function endOfRequest(ec2: EC2Client, machine: string): Promise<Interruption | undefined> {
  const { SpotInstanceRequests = [] } = await reading(
    ec2.send(
      new DescribeSpotInstanceRequestsCommand({ Filters: [{ Name: 'instance-id', Values: [machine] }] }),
    ),
  );
  const reason = SpotInstanceRequests.map(({ Status }) => Status?.Code).find(
    (code) => code !== undefined && taken.has(code),
  );
  return reason === undefined ? undefined : { reason };
}
