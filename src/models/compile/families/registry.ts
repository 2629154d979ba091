/** The families that can be compiled from their weights. A new one is a file and a line here. */
import { albert } from './encoders/albert.js';
import { bert } from './encoders/bert.js';
import { debertaV2 } from './encoders/deberta-v2.js';
import { distilbert } from './encoders/distilbert.js';
import { electra } from './encoders/electra.js';
import { modernbert } from './encoders/modernbert.js';
import { mpnet } from './encoders/mpnet.js';
import { roberta } from './encoders/roberta.js';
import { xlmRobertaXl } from './encoders/xlm-roberta-xl.js';
import type { Family } from './network/family.js';

export const FAMILIES: readonly Family[] = [
  ...[bert, roberta, xlmRobertaXl, distilbert, electra, albert],
  ...[mpnet, debertaV2, modernbert],
];
