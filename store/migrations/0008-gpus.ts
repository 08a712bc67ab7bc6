/**
 * GPUs of hosts: how many, of which one model, and what of them is claimed. The groups that rules count need no column: they
 * name counts, which are read from the machines' offers.
 */
export const sql = `
alter table hosts add column gpus integer not null default 0 check (gpus >= 0);
alter table hosts add column gpu_name text;
alter table hosts add constraint hosts_gpu_name check ((gpus = 0) = (gpu_name is null));
alter table claims add column gpus integer not null default 0;
-- What a machine was sized for says it too, or each that asked for GPUs of a cloud would look as if it were to be resized.
update intents set sized_for = intents.sized_for || jsonb_build_object('gpus', coalesce((i.spec #>> '{gpu,count}')::int, 0))
  from instances i where i.id = intents.resource;
`;
