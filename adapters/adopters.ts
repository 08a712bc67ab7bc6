/**
 * How adopters keep out of each other's way where a provider writes marks without conditions: two could each write their stamp over
 * the other's. Each therefore first writes a mark of its own, by which the others see it, and looks again. Who then sees nobody else
 * has the machine: whoever comes later sees it. Where several see each other, all but the first by name give up, and the first waits
 * until they have.
 */

/** An adopter that has not come to an end in this time has died: the others go on without it. */
const adopterLastsMs = 20 * 60_000;
/** One that goes on for longer shows itself anew, well before the others would take it for dead. */
const showAgainMs = adopterLastsMs / 4;

/**
 * What an adopter does next, after a look at a machine without a stamp.
 * @param marks the adopters that show themselves: their names, and when they wrote (ISO time).
 * @param hasStamped its stamp was written and is not to be seen yet: whoever came since sees its mark, and given up the stamp would stay.
 */
export function turnOf(
  mine: string,
  marks: Record<string, string>,
  hasStamped = false,
): 'show' | 'stamp' | 'wait' | 'giveUp' {
  const now = Date.now();
  if (!(now - Date.parse(marks[mine] ?? '') < showAgainMs)) return 'show';
  const others = Object.entries(marks)
    .filter(([name, at]) => name !== mine && Date.parse(at) >= now - adopterLastsMs)
    .map(([name]) => name);
  if (others.length === 0) return 'stamp';
  return !hasStamped && others.some((name) => name < mine) ? 'giveUp' : 'wait';
}
