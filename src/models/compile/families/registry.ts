/** The families that can be compiled from their weights. A new one is a file and a line here. */
import { albert } from './albert.js';
import { bert } from './bert.js';
import { debertaV2 } from './deberta-v2.js';
import { distilbert } from './distilbert.js';
import { electra } from './electra.js';
import type { Family } from './family.js';
import { modernbert } from './modernbert.js';
import { mpnet } from './mpnet.js';
import { roberta } from './roberta.js';
import { xlmRobertaXl } from './xlm-roberta-xl.js';

export const FAMILIES: readonly Family[] = [
  ...[bert, roberta, xlmRobertaXl, distilbert, electra, albert],
  ...[mpnet, debertaV2, modernbert],
];
