import { describe, expect, test } from 'vitest';
import {
  hasVersion,
  modelAddress,
  repositoryAddress,
} from '../../../../../src/http/doors/open-inference/address.js';

const BELOW = '/v2/models/';
const at = (rest: string) => modelAddress(`${BELOW}${rest}`, BELOW);
const plain = { version: undefined, action: 'metadata' };

describe('addresses of models', () => {
  test.each([
    ['spam', { ...plain, model: 'spam' }],
    ['spam?x=/infer', { ...plain, model: 'spam' }],
    ['spam/infer', { ...plain, model: 'spam', action: 'infer' }],
    ['org/name/ready', { ...plain, model: 'org/name', action: 'ready' }],
    ['org%2Fname/ready', { ...plain, model: 'org/name', action: 'ready' }],
    ['org%2fname', { ...plain, model: 'org/name' }],
    ['org/name/versions/1/infer', { model: 'org/name', version: '1', action: 'infer' }],
    ['org%2Fname/versions/7', { model: 'org/name', version: '7', action: 'metadata' }],
    ['a%2Fready', { ...plain, model: 'a/ready' }],
    ['a%2Fversions%2F1/config', { ...plain, model: 'a/versions/1', action: 'config' }],
    ['ready', { ...plain, model: 'ready' }],
    ['m%C3%B6del/stats', { ...plain, model: 'mödel', action: 'stats' }],
    ['', undefined],
    ['%E0%A4%A', undefined],
    ['org%2Fname/else', undefined],
  ])('%s', (rest, expected) => {
    expect(at(rest)).toEqual(expected);
  });

  test.each([
    ['spam', true],
    ['spam/versions/1', true],
    ['spam/versions/2', false],
    ['spam/versions/01/infer', false],
  ])('%s has its version: %s', (rest, expected) => {
    const address = at(rest);
    expect(address !== undefined && hasVersion(address)).toBe(expected);
  });
});

test.each([
  ['org/name/load', { model: 'org/name', action: 'load' }],
  ['org%2Fname/unload?x', { model: 'org/name', action: 'unload' }],
  ['load', undefined],
  ['spam', undefined],
  ['spam/else', undefined],
  ['%/load', undefined],
])('addresses of the repository: %s', (rest, expected) => {
  expect(repositoryAddress(`/v2/repository/models/${rest}`)).toEqual(expected);
});
