/** The page of the panel "Explain placement". It has no script, and links to rules are commands of the editor. */
import type { Explanation, PlacedOffer, RuleRecord } from '@landfall/policies';
import type { PlacementExplanation } from '../language/protocol.ts';
import type { RegionOffer } from '../language/region-offers.ts';
import { count, escaped, hour, link, month, type PageLinks, pageOf, place, RuleNames } from './page.ts';

/** Regions shown in the chart; the rest is counted. */
const CHARTED = 24;

/** The whole page. */
export function explanationPage(explained: PlacementExplanation, links: PageLinks): string {
  const { decision, subject, atBroker } = explained;
  const names = new RuleNames(links, { subject, atBroker }, explained.change?.files);
  return pageOf(explained.subject, [
    answer(explained, names),
    changed(explained, names, links),
    unreadable(explained, links),
    rejections(decision.rules, names),
    changes(decision.explanation, names),
    funnel(explained, names),
    chart(explained.regions, decision.winner),
    sources(explained),
  ]);
}

function answer({ subject, decision, madeFrom }: PlacementExplanation, names: RuleNames): string {
  const from = `<p class="soft">${escaped(madeFrom)}</p>`;
  const { winner, compliant, considered } = decision;
  if (winner === null)
    return `<h1>${escaped(subject)} fits nowhere</h1>
${from}
<p>${count(considered)} offers considered, ${count(compliant)} compliant.</p>
<ul>${decision.reasons.map((reason) => `<li>${names.in(reason, decision.rules)}</li>`).join('')}</ul>`;
  const best = decision.preferences === undefined ? 'the cheapest' : 'the best';
  return `<h1>${escaped(subject)} lands on ${escaped(place(winner))}</h1>
${from}
<p class="price">${hour(winner.pricePerHour)} <span class="soft">${month(winner.pricePerMonth)}</span></p>
<p>${best} of ${count(compliant)} compliant offers (${count(considered)} considered); ${winner.vcpus} vCPU, ${winner.memoryGiB} GiB, ${escaped(winner.architecture)}, ${escaped(winner.market)}</p>
${(decision.approvals ?? []).map((asked) => `<p class="notice">Waits for an approval by ${escaped(asked.by.join(', '))} (${names.of(asked)})</p>`).join('')}`;
}

/** Of what changed policies make of a request: why it is not where it is now. */
function changed({ change, decision }: PlacementExplanation, names: RuleNames, links: PageLinks): string {
  if (change === undefined) return '';
  const { from, why, recorded, rules } = change;
  const { winner } = decision;
  const now = link('as it was decided', links.decision(recorded));
  if (why === null) return `<p class="notice">Nothing changes for it: it lands there now, ${now}.</p>`;
  const rows = [
    ['now', from],
    ['then', winner],
  ] as const;
  const table = rows.map(
    ([when, offer]) =>
      `<tr><td>${when}</td><td>${offer === null ? 'nowhere' : escaped(place(offer))}</td><td class="number">${offer === null ? '' : month(offer.pricePerMonth)}</td></tr>`,
  );
  const title = from === null ? 'Why now' : `Why not ${place(from)}`;
  return `<h2>${escaped(title)}</h2>
<p>${names.in(why, [...rules, ...decision.rules])} (${now})</p>
<table>${table.join('')}</table>`;
}

function unreadable({ unreadable }: PlacementExplanation, { line }: PageLinks): string {
  if (unreadable.length === 0) return '';
  const links = unreadable.map((file) => link(file.split('/').at(-1)!, line(file, 1)));
  return `<p class="notice">Left out, because they have errors: ${links.join(', ')}</p>`;
}

/** The map of rejections: each rule with a bar of what it rejects, the part that it alone rejects darker. */
function rejections(rules: readonly RuleRecord[], names: RuleNames): string {
  const telling = rules.filter(({ rejected }) => rejected > 0).sort((a, b) => b.rejected - a.rejected);
  if (telling.length === 0) return '';
  const most = telling[0]!.rejected;
  const share = (part: number): string => ((part / most) * 100).toFixed(1);
  const rows = telling.map(
    ({ mode, rejected, rejectedAlone, message, ...rule }) => `<tr>
<td>${names.of(rule)}${mode === 'enforce' ? '' : ` <span class="soft">${mode}</span>`}</td>
<td class="number">${count(rejected)}</td><td class="number">${count(rejectedAlone)}</td>
<td class="bars"><span class="bar" style="width:${share(rejected)}%"></span><span class="bar alone" style="width:${share(rejectedAlone)}%"></span></td>
<td class="soft">${escaped(message ?? '')}</td></tr>`,
  );
  return `<h2>Rules that reject</h2>
<table><tr><th>rule</th><th class="number">rejected</th><th class="number">alone</th><th></th><th>why</th></tr>${rows.join('')}</table>`;
}

/** What would be cheaper, or let it land at all, largest saving first. */
function changes(explanation: Explanation | undefined, names: RuleNames): string {
  if (explanation === undefined) return '';
  const { counterfactuals, relaxations, thresholds } = explanation;
  const rows = [
    ...counterfactuals.map((each) => ({
      what: `without ${names.of(each)}`,
      ...each,
    })),
    ...relaxations.map(({ rules, offer }) => ({
      what: `without ${rules.map((rule) => names.of(rule)).join(' and ')}`,
      offer,
      savingPerMonth: null,
    })),
    ...thresholds.map(({ rule, expression, needed, offer, savingPerMonth }) => ({
      what: `${rule === null ? 'the request' : names.of(rule)}: <code>${escaped(expression)}</code> → ${needed}`,
      offer,
      savingPerMonth,
    })),
  ]
    .filter(({ savingPerMonth }) => savingPerMonth === null || savingPerMonth >= 0.005)
    .sort((a, b) => (b.savingPerMonth ?? 0) - (a.savingPerMonth ?? 0))
    .map(
      ({ what, offer, savingPerMonth }) =>
        `<tr><td>${what}</td><td>${escaped(place(offer))}</td><td class="number">${month(offer.pricePerMonth)}</td><td class="number saves">${savingPerMonth === null ? '' : `−${month(savingPerMonth)}`}</td></tr>`,
    );
  if (rows.length === 0) return '';
  return `<h2>What would change the answer</h2>
<table><tr><th>if</th><th>lands on</th><th class="number">price</th><th class="number">saves</th></tr>${rows.join('')}</table>`;
}

function funnel({ decision }: PlacementExplanation, names: RuleNames): string {
  const rows = decision.funnel.map(
    ({ stage, remaining }) =>
      `<tr><td>${names.in(stage, decision.rules)}</td><td class="number">${count(remaining)}</td></tr>`,
  );
  return `<h2>Funnel</h2><table><tr><th>stage</th><th class="number">remaining</th></tr>${rows.join('')}</table>`;
}

/** A bar for the cheapest compliant offer of each region. */
function chart(regions: readonly RegionOffer[], winner: PlacedOffer | null): string {
  const priced = regions.filter((each) => each.pricePerHour !== undefined);
  if (priced.length === 0) return '';
  const shown = priced.slice(0, CHARTED);
  const most = shown.at(-1)!.pricePerHour!;
  const rows = shown.map(({ provider, region, instanceType = '', pricePerHour = 0 }) => {
    const isWinner = winner !== null && provider === winner.provider && region === winner.region;
    const width = most === 0 ? 0 : (pricePerHour / most) * 100;
    return `<tr${isWinner ? ' class="winner"' : ''}><td>${escaped(provider)} ${escaped(region)}</td><td class="soft">${escaped(instanceType)}</td>
<td class="bars"><span class="bar ${escaped(provider)}" style="width:${width.toFixed(1)}%"></span></td><td class="number">${hour(pricePerHour)}</td></tr>`;
  });
  const dearer = priced.length - shown.length;
  const none = regions.length - priced.length;
  const rest = [
    dearer > 0 ? `${dearer} dearer regions` : '',
    none > 0 ? `${none} regions without a compliant offer` : '',
  ].filter(Boolean);
  return `<h2>The best compliant offer by region</h2>
<table class="chart">${rows.join('')}</table>${rest.length > 0 ? `<p class="soft">and ${rest.join(', ')}</p>` : ''}`;
}

function sources({ decision }: PlacementExplanation): string {
  const { catalogue, policies } = decision;
  const notices = new Set(catalogue.sources.flatMap(({ notice }) => notice ?? []));
  return `<p class="soft">Prices: ${escaped(catalogue.sources.map(({ name, date }) => `${name} of ${date}`).join(', '))}.
Policies: ${policies.length === 0 ? 'none' : escaped(policies.map(({ name }) => name).join(', '))}. ${[...notices].map(escaped).join(' ')}</p>`;
}
