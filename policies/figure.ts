/** A number for a person: thousands apart, up to six digits, without the noise of binary fractions. */
export function figure(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { maximumFractionDigits: 6 });
}

/** A count for a person: `15,050`. */
export function count(amount: number): string {
  return amount.toLocaleString('en-US');
}
