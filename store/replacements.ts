/** Another machine in the place of one that is lost, by a person's word. */
import type { Instance, InstanceSpec, Operation, Schemas } from '@landfall/model';
import { StoreError } from './errors.ts';
import { checkChangeable, findRow, requestChange, toInstance } from './instances.ts';
import type { Db, Tx } from './open.ts';
import { type Requester, toOperation } from './operations.ts';

/**
 * Asks for it. Asking again while it is under way answers the operation that is there. Nothing of the instance changes here:
 * its workflow looks for the machine once more first. Throws `conflict` for an instance that is not `Lost`, `invalid` where an
 * image is missing (what was adopted has none) or is not to be named.
 */
export async function replaceInstance(
  db: Db,
  request: Requester & {
    project: string;
    instance: string;
    replacement: Schemas['InstanceReplacement'];
    ifMatch: number | null;
    validateOnly?: boolean;
  },
): Promise<{ instance: Instance; operation: Operation | null }> {
  return db.transaction().execute(async (tx) => {
    const row = await findRow(tx, request.project, request.instance, true);
    checkChangeable(row, request.ifMatch);
    const { replacement } = request;
    const open = await tx
      .selectFrom('operations')
      .selectAll()
      .where('resource_id', '=', row.id)
      .where('verb', '=', 'replace')
      .where('state', 'in', ['Pending', 'Running'])
      .where('cancel_requested_at', 'is', null)
      .where('error', 'is', null)
      .executeTakeFirst();
    if (open) return { instance: toInstance(row), operation: toOperation(open) };
    if (row.state !== 'Lost')
      throw new StoreError(
        'conflict',
        `instance ${row.name} is ${row.state}: only a machine that is Lost is replaced`,
      );
    if (row.adopted === null && (replacement.image ?? replacement.sshKeys) !== undefined)
      throw new StoreError(
        'invalid',
        `instance ${row.name} is made from its own image ${row.spec.image} and with its own keys: name neither`,
        replacement.image === undefined ? '/sshKeys' : '/image',
      );
    if (row.adopted !== null && replacement.image === undefined)
      throw new StoreError(
        'invalid',
        `instance ${row.name} was adopted, and nobody knows what it was made from: name an image`,
        '/image',
      );
    if (request.validateOnly) return { instance: toInstance(row), operation: null };
    const operation = await requestChange(
      tx,
      row,
      request,
      'replace',
      `${request.requestedBy} asked for another machine in the place of ${row.status.externalReference ?? 'the lost one'} of instance ${row.name}; what was on its boot disk is gone`,
    );
    await tx
      .updateTable('operations')
      .set({ replacement: JSON.stringify(replacement) })
      .where('id', '=', operation.id)
      .execute();
    return { instance: toInstance(row), operation };
  });
}

/** What the machine in an adopted one's place is: as large, in the same region of the same site, and ours from the start. */
export function specInPlace(
  { spec, status }: { spec: InstanceSpec; status: Instance['status'] },
  { image, sshKeys }: Schemas['InstanceReplacement'],
): InstanceSpec {
  // A machine that was adopted says of these what its provider did: they may be absent.
  const { architecture = 'x86_64', market = 'onDemand', diskGiB = 10 } = spec;
  return {
    ...spec,
    architecture,
    market,
    diskGiB,
    image,
    ...(sshKeys === undefined ? {} : { sshKeys }),
    placement: {
      ...(status.site === undefined ? {} : { sites: [status.site] }),
      ...(status.region === undefined ? {} : { regions: [status.region] }),
    },
  } as InstanceSpec;
}

/** From now on the instance was not adopted. */
export async function forgetAdoption(tx: Tx, id: string, spec: InstanceSpec): Promise<void> {
  await tx
    .updateTable('instances')
    .set({ adopted: null, spec: JSON.stringify(spec) })
    .where('id', '=', id)
    .execute();
}
