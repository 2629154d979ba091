import { expect, test } from 'vitest';
import type { Caller } from '../../../src/keys/keyring.js';
import { KeyLimits } from '../../../src/keys/limits.js';

const CALLER: Caller = {
  ...{ keyName: 'a', scopes: ['classify'], requestsPerSecond: undefined, inputsPerMinute: 10 },
};

test('what a whole minute does not hold is refused for good, and takes nothing', async () => {
  const limits = new KeyLimits(undefined, () => 0);
  const beyond = await limits.takeInputs(CALLER, 11);
  expect(beyond).toMatchObject({ isBeyond: true, remaining: 10 });
  expect(beyond?.refusal).toContain("11 inputs, and the key's limit is 10 a minute");
  expect(await limits.takeInputs(CALLER, 10)).toMatchObject({ refusal: undefined });
  // What is used up comes back.
  expect(await limits.takeInputs(CALLER, 10)).toMatchObject({
    ...{ isBeyond: false, refusal: expect.stringContaining('no 10 of its 10 inputs') },
  });
});

test('another limit of the key does not give back what was used of the window that runs', async () => {
  const limits = new KeyLimits(undefined, () => 0);
  expect(await limits.takeInputs(CALLER, 10)).toMatchObject({ refusal: undefined, remaining: 0 });
  const raised: Caller = { ...CALLER, inputsPerMinute: 11 };
  expect(await limits.takeInputs(raised, 1)).toMatchObject({ refusal: undefined, remaining: 0 });
  for (const caller of [CALLER, raised]) {
    expect(await limits.takeInputs(caller, 1)).toMatchObject({ refusal: expect.any(String) });
  }
});
