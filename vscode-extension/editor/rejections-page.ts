/** The page behind the lens of a rule: what it rejects, what it alone rejects, and what allowing that would save. */
import type { RejectedGroup, RuleRejections, RuleTarget } from '../language/protocol.ts';
import { count, escaped, link, month, type PageLinks, pageOf, place, RuleNames } from './page.ts';

/** Regions and families shown; the rest is counted. */
const SHOWN = 20;

/** The whole page, what is asked about first. */
export function rejectionsPage(found: RuleRejections, asked: RuleTarget['asked'], links: PageLinks): string {
  const names = new RuleNames(links, {});
  const groups = [
    grouped('provider', found.groups.provider),
    grouped('region', found.groups.region),
    grouped('instance family', found.groups.family),
  ];
  const saved = [instances(found, links), alone(found)];
  return pageOf(`${found.policy}/${found.rule}`, [
    head(found, names),
    ...(asked === 'alone' ? [...saved, ...groups] : [...groups, ...saved]),
    related(found, names),
  ]);
}

function head(found: RuleRejections, names: RuleNames): string {
  const { policy, rule, uri, rejected, of, whereItApplies } = found;
  const where = whereItApplies ? ' where it applies' : '';
  return `<h1>${names.of({ policy, rule, file: uri })} rejects ${count(rejected)} of ${count(of)} offers${where}</h1>
<p class="soft">Of the shipped catalogue, for a machine that asks for nothing in particular; ${count(found.alone)} of them no other rule of the policy rejects.</p>`;
}

function grouped(by: string, groups: readonly RejectedGroup[]): string {
  if (groups.length === 0) return '';
  const rows = groups.slice(0, SHOWN).map(
    ({
      provider,
      name,
      rejected,
      of,
    }) => `<tr><td>${escaped(by === 'provider' ? name : `${provider} ${name}`)}</td>
<td class="number">${count(rejected)}</td><td class="number soft">of ${count(of)}</td>
<td class="bars"><span class="bar alone" style="width:${((rejected / of) * 100).toFixed(1)}%"></span></td></tr>`,
  );
  const left = groups.slice(SHOWN);
  const offers = left.reduce((sum, { rejected }) => sum + rejected, 0);
  const rest =
    left.length === 0 ? '' : `<p class="soft">and ${count(offers)} offers of ${count(left.length)} more</p>`;
  return `<h2>By ${by}</h2><table><tr><th>${by}</th><th class="number">rejected</th><th></th><th>share</th></tr>${rows.join('')}</table>${rest}`;
}

/** What it costs the machines of the workspace. */
function instances({ instances }: RuleRejections, links: PageLinks): string {
  if (instances.length === 0) return '';
  const rows = instances.map(
    ({ subject, uri, line, offer, savingPerMonth }) =>
      `<tr><td>${link(subject, links.line(uri, line))}</td><td>${escaped(place(offer))}</td><td class="number">${month(offer.pricePerMonth)}</td>
<td class="number saves">${savingPerMonth === null ? 'has no place now' : `−${month(savingPerMonth)}`}</td></tr>`,
  );
  return `<h2>Without it, machines of this workspace</h2>
<table><tr><th>machine</th><th>would land on</th><th class="number">price</th><th class="number">saves</th></tr>${rows.join('')}</table>`;
}

function alone({ alone, offers }: RuleRejections): string {
  if (alone === 0)
    return '<h2>Alone</h2><p>Each of these offers another rule of the policy rejects, too.</p>';
  const rows = offers.map(({ offer, allowed, savingPerMonth }) => {
    const saves = savingPerMonth !== null && savingPerMonth >= 0.005 ? `−${month(savingPerMonth)}` : '';
    return `<tr><td>${escaped(place(offer))} <span class="soft">${offer.vcpus} vCPU, ${offer.memoryGiB} GiB${offer.market === 'onDemand' ? '' : `, ${escaped(offer.market)}`}</span></td><td class="number">${month(offer.pricePerMonth)}</td>
<td>${allowed === null ? '<span class="soft">none as large</span>' : escaped(place(allowed))}</td><td class="number saves">${saves}</td></tr>`;
  });
  const first = offers.length < alone ? `, the ${count(offers.length)} cheapest` : '';
  return `<h2>What it alone rejects: ${count(alone)} offers${first}</h2>
<p class="soft">Beside each, the cheapest offer that the policy allows and that is as large, and what allowing the other one would save.</p>
<table><tr><th>offer</th><th class="number">price</th><th>cheapest allowed</th><th class="number">saves</th></tr>${rows.join('')}</table>`;
}

function related({ uri, policy, rule: named, related, namesakes }: RuleRejections, names: RuleNames): string {
  const others = related.map(
    ({ rule, both }) =>
      `<li>${names.of({ policy, rule, file: uri }, rule)} rejects ${count(both)} of them, too</li>`,
  );
  const same = namesakes.map(
    (other) =>
      `<li>${names.of({ policy: other.policy, rule: named, file: other.uri }, other.policy)} has a rule of this name</li>`,
  );
  const all = [...others, ...same];
  return all.length === 0 ? '' : `<h2>Related rules</h2><ul>${all.join('')}</ul>`;
}
