/** Findings of a mapped form, read from their file. */
import {
  isFlag,
  isList,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  shapeOf,
} from '../../../contract/schema/shape.js';
import type {
  Findings,
  InputBinding,
  ServingPlan,
  TokenizerChoice,
} from '../../run/serving-plan.js';
import { readObject } from './written-files.js';

const isBinding = shapeOf<InputBinding>({
  ...{ name: isText, role: isText, type: isText, rank: isNumber },
});

/** How a form is fed and read. */
export const isPlan = shapeOf<ServingPlan>({
  ...{ inputs: isList(isBinding), output: isText, labelCount: isNumber },
  ...{ perToken: orMissing(isFlag), endsIn: orMissing(isOneOf(['softmax', 'sigmoid'])) },
  grouping: isOneOf(['together', 'equal length', 'one by one']),
  paddingSide: isOneOf(['left', 'right']),
  ...{ padTokenId: isNumber, padTypeId: isNumber, positionOffset: isNumber },
  ...{ fixedRows: orMissing(isNumber), fixedLength: orMissing(isNumber) },
});

const isChoice = shapeOf<TokenizerChoice>({
  kind: isOneOf(['javascript', 'native']),
  ...{
    except: orMissing(isText),
    longestRun: orMissing(isNumber),
    isPairUnknown: orMissing(isFlag),
  },
});

const areFindings = shapeOf<Findings>({
  ...{ plan: isPlan, tokenizer: isChoice, maxTokens: isNumber },
  memoryCap: orMissing(
    shapeOf<NonNullable<Findings['memoryCap']>>({ tokens: isNumber, bytes: isNumber }),
  ),
  decisions: isList(
    shapeOf<Findings['decisions'][number]>({ about: isText, value: isText, from: isText }),
  ),
});

/**
 * @returns undefined if they are missing, broken or of another shape
 * @throws Error if the file cannot be opened: too many open files, no permission
 */
export async function readFindings(file: string): Promise<Findings | undefined> {
  const read: unknown = await readObject(file);
  return areFindings(read) ? read : undefined;
}
