import { checkExpression } from './check.ts';
import { CEL_FUNCTIONS } from './functions.ts';

test.each(CEL_FUNCTIONS.map((one) => [`${one.receiver ?? ''}.${one.name}`, one] as const))(
  'the example of %s uses it and is a sound condition',
  (_name, { name, receiver, example }) => {
    expect(example).toMatch(
      receiver === null ? new RegExp(`(^|[^.])\\b${name}\\(`) : new RegExp(`\\.${name}\\(`),
    );
    const { issues, type } = checkExpression(example, { offer: true, variables: {}, wanted: 'bool' });
    expect(issues).toEqual([]);
    expect(type).toBe('bool');
  },
);
