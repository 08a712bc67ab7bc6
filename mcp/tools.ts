/**
 * What a language model may ask of the estate, in an editor or over the Model Context Protocol. What only reads runs at once;
 * what changes something is asked about first. The extension's manifest is made from these: `npm run generate`.
 */
import type { Decision, Instance, Offer, Schemas } from '@landfall/model';
import { body } from '@landfall/model/answer.ts';
import {
  instanceDeletionQuestion,
  type PowerVerb,
  power,
  powerQuestion,
  powerVerbs,
  type Question,
  removeInstance,
  type ToolBroker,
} from './changes.ts';

/** What every tool says of itself. */
interface Described<I> {
  title: string;
  /** For the model: what it answers, and what it changes. */
  description: string;
  /** JSON Schema of its input, an object. */
  inputSchema: ToolSchema;
  /** Shown while it runs. */
  doing(input: I): string;
}

export type ToolSchema = {
  type: 'object';
  additionalProperties: false;
  required: string[];
  properties: Record<string, object>;
};

/** A tool that changes nothing. */
export interface ReadingTool<I> extends Described<I> {
  run(broker: ToolBroker, input: I): Promise<unknown>;
}

/** A tool that changes something, after a person's yes. */
export interface ChangingTool<I> extends Described<I> {
  /** Whether doing it twice is doing it once. */
  idempotent: boolean;
  /** Finds what is meant; what is asked and what is then done are about the same thing, whatever its name is by then. */
  prepare(broker: ToolBroker, input: I): Promise<Change>;
}

export interface Change {
  question: Question;
  /** The command line that does the same. */
  command: string;
  /** Answers the operation, which goes on after it. */
  run(): Promise<unknown>;
}

export type EstateTool<I> = ReadingTool<I> | ChangingTool<I>;

interface OnInstance {
  name: string;
  project?: string;
}

/** A model reads so many at most; it is told when there are more. */
const mostInstances = 200;

const project = { type: 'string', description: 'The project; default: that of the current context.' };
const name = { type: 'string', description: "The instance's name." };
const input = (required: string[], properties: Record<string, object>): ToolSchema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

/** The tools by name. */
export const estateTools = {
  landfall_listInstances: {
    title: 'List Landfall instances',
    description:
      'Lists the machines (instances) of a Landfall project with their state, place, addresses and price. Changes nothing.',
    inputSchema: input([], {
      project,
      filter: {
        type: 'string',
        description:
          'Terms joined by " AND ": field=value or field!=value, of name, state, site, provider, region, zone, host, instanceType, market, image, power, and labels as labels.env=prod.',
      },
    }),
    doing: ({ project }) => `Reading the instances${project ? ` of ${project}` : ''}`,
    run: async (broker, { project, filter }) => {
      const { items, nextPageToken } = await body(
        broker.client.GET('/v1/projects/{project}/instances', {
          params: {
            path: { project: project ?? broker.project },
            query: { pageSize: mostInstances, ...(filter ? { filter } : {}) },
          },
        }),
      );
      return { instances: items.map(briefly), more: nextPageToken !== undefined };
    },
  } satisfies ReadingTool<{ project?: string; filter?: string }>,

  landfall_explainPlacement: {
    title: 'Explain a Landfall placement',
    description:
      'Explains why a Landfall instance was placed where it is: the offers considered, the rules that rejected some, what would win without each rule, and what it costs. Changes nothing.',
    inputSchema: input(['name'], { name, project }),
    doing: ({ name }) => `Reading why ${name} is where it is`,
    run: async (broker, input) => {
      const instance = await instanceOf(broker, input);
      const { decision } = instance.status;
      if (decision === undefined)
        return { instance: briefly(instance), decision: null, why: 'It has not been placed.' };
      const made = await body(
        broker.client.GET('/v1/projects/{project}/decisions/{decision}', {
          params: { path: { project: instance.project, decision } },
        }),
      );
      return { instance: briefly(instance), decision: explained(made) };
    },
  } satisfies ReadingTool<OnInstance>,

  landfall_planPlacement: {
    title: 'Plan a Landfall placement',
    description:
      'Plans where a machine would land over all providers under the policies in force, with its price and the reasons. Nothing is made and no account is needed.',
    inputSchema: input(['spec'], {
      project,
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      spec: {
        type: 'object',
        required: ['image', 'vcpus', 'memoryGiB'],
        properties: {
          image: { type: 'string', description: 'e.g. tiny, debian-12' },
          vcpus: { type: 'integer', minimum: 1 },
          memoryGiB: { type: 'number', exclusiveMinimum: 0 },
          diskGiB: { type: 'integer', minimum: 1 },
          architecture: { enum: ['x86_64', 'arm64', 'any'] },
          market: { enum: ['onDemand', 'spot', 'any'] },
          dataClass: { type: 'string' },
          placement: {
            type: 'object',
            description:
              'providers, sites, regions, zones: lists that narrow where it may go; maxPricePerHour.',
          },
        },
      },
    }),
    doing: () => 'Planning a placement; nothing is made',
    run: async (broker, { project, labels, spec }) =>
      explained(
        await body(
          broker.client.POST('/v1/projects/{project}/placements', {
            params: { path: { project: project ?? broker.project } },
            // The broker holds it against its own schema, and says what is wrong with it.
            body: { labels, spec: spec as never },
          }),
        ),
      ),
  } satisfies ReadingTool<{ project?: string; labels?: Record<string, string>; spec: object }>,

  landfall_readSpend: {
    title: 'Read what Landfall machines have cost',
    description:
      'Sums what Landfall machines have cost between two times, by project, site, provider or instance, the most expensive first, and what they cost an hour now. Catalogue prices of the hours that machines ran, no invoice. Changes nothing.',
    inputSchema: input([], {
      from: { type: 'string', description: 'RFC 3339 time; default: the last midnight UTC.' },
      to: { type: 'string', description: 'RFC 3339 time; default: now.' },
      by: { enum: ['project', 'site', 'provider', 'instance'], description: 'default: project' },
    }),
    doing: () => 'Reading what machines have cost',
    run: async (broker, query) => {
      const { nextPageToken, ...spend } = await body(broker.client.GET('/v1/spend', { params: { query } }));
      return { ...spend, more: nextPageToken !== undefined };
    },
  } satisfies ReadingTool<{ from?: string; to?: string; by?: Schemas['Spend']['by'] }>,

  landfall_changePower: {
    title: 'Start, stop or reboot a Landfall instance',
    description:
      'Starts, stops or reboots a Landfall instance. The person is asked to confirm. Answers the operation, which goes on after the answer.',
    inputSchema: input(['verb', 'name'], { verb: { enum: [...powerVerbs] }, name, project }),
    idempotent: false,
    doing: ({ verb, name }) => `Asking for a ${verb} of ${name}`,
    prepare: async (broker, input) => {
      const instance = await instanceOf(broker, input);
      return {
        question: powerQuestion(input.verb, instance),
        command: commandLine(input.verb, instance),
        run: () => power(broker, input.verb, instance),
      };
    },
  } satisfies ChangingTool<OnInstance & { verb: PowerVerb }>,

  landfall_deleteInstance: {
    title: 'Delete a Landfall instance',
    description:
      'Deletes a Landfall instance with its disk and all that was made for it. The person is asked to confirm. Answers the operation, which goes on after the answer.',
    inputSchema: input(['name'], { name, project }),
    idempotent: true,
    doing: ({ name }) => `Asking for the deletion of ${name}`,
    prepare: async (broker, input) => {
      const instance = await instanceOf(broker, input);
      return {
        question: instanceDeletionQuestion(instance),
        command: commandLine('delete', instance),
        run: () => removeInstance(broker, instance),
      };
    },
  } satisfies ChangingTool<OnInstance>,
};

const commandLine = (verb: string, { name, project }: Instance): string =>
  `landfall ${verb} instance ${name} -p ${project}`;

function instanceOf(broker: ToolBroker, { name, project }: OnInstance): Promise<Instance> {
  return body(
    broker.client.GET('/v1/projects/{project}/instances/{instance}', {
      params: { path: { project: project ?? broker.project, instance: name } },
    }),
  );
}

/** What of an instance answers most questions. */
function briefly({ name, project, labels, spec, status }: Instance): object {
  const { state, message, provider, site, region, zone, host, instanceType, addresses } = status;
  const { pricePerHour, pricePerMonth, currency, expiresAt } = status;
  return {
    name,
    project,
    labels,
    wanted: { image: spec.image, vcpus: spec.vcpus, memoryGiB: spec.memoryGiB, power: spec.power },
    state,
    message,
    where: { provider, site, region, zone, host, instanceType },
    addresses,
    price: { pricePerHour, pricePerMonth, currency },
    expiresAt,
  };
}

/** A decision without its lists of versions and the recorded request. */
function explained(decision: Decision): object {
  const { outcome, winner, fallbacks, considered, compliant, funnel, reasons, explanation } = decision;
  return {
    outcome,
    winner: winner && offered(winner),
    next: fallbacks.slice(0, 3).map(offered),
    cheapestByProvider: decision.cheapestByProvider?.map(offered),
    considered,
    compliant,
    funnel,
    reasons,
    rules: decision.rules.filter(({ applies, rejected }) => applies && rejected > 0),
    approvals: decision.approvals,
    explanation,
  };
}

function offered({ provider, site, region, zone, host, instanceType, market, ...offer }: Offer): object {
  const { vcpus, memoryGiB, pricePerHour, pricePerMonth, currency } = offer;
  return {
    provider,
    site,
    region,
    zone,
    host,
    instanceType,
    market,
    vcpus,
    memoryGiB,
    pricePerHour,
    pricePerMonth,
    currency,
  };
}
