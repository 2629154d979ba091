/**
 * The texts on which the two tokenizers are held against one another when a model is prepared. Pure and the same
 * each time. Every text is of the project's own making.
 */

/** A few words in each of many scripts. */
export const WORDS: readonly string[] = [
  'The quick brown fox jumps over the lazy dog',
  "I can't believe it's not butter, don't you?",
  'Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich, ja: ẞ und ß',
  'Où est la forêt ? Là-bas, près du cœur de l’île',
  'El niño comió piñas ¿verdad? ¡Sí!',
  'Zażółć gęślą jaźń; příliš žluťoučký kůň',
  'Iğdır’ın İSTANBUL ve ışık, şişli, ığüşöç',
  'Đây là tiếng Việt: nghiêng, trường, những, ừ',
  'Κείμενο με ΤΟΝΟΥΣ και τελικό σίγμα: ΟΔΟΣ, οδός, ΣΟΦΟΣ',
  'Съешь ещё этих мягких французских булок, да выпей же чаю. Ёлка Ї Ў',
  'Հայերեն լեզու և գիր',
  'ქართული ენა და ᲓᲐᲛᲬᲔᲠᲚᲝᲑᲐ',
  'שלום עולם, מה שלומך? בְּרֵאשִׁית בָּרָא',
  'مرحبا بالعالم، كيف حالك؟ النَّصُّ العَرَبِيُّ ١٢٣',
  'سلام دنیا، می‌خواهم کتاب‌ها را ببینم ۱۲۳',
  'یہ اردو میں لکھا ہوا ہے۔',
  'नमस्ते दुनिया, क्षत्रिय ज्ञान हिन्दी १२३।',
  'বাংলা ভাষায় লেখা, ক্ষমা ১২৩।',
  'ਪੰਜਾਬੀ ਵਿੱਚ ਲਿਖਿਆ',
  'ગુજરાતી લખાણ છે',
  'தமிழ் மொழியில் எழுதப்பட்டது',
  'తెలుగు భాషలో వ్రాయబడింది',
  'ಕನ್ನಡ ಭಾಷೆಯಲ್ಲಿ ಬರೆದಿದೆ',
  'മലയാളം ഭാഷയിൽ എഴുതിയത്',
  'සිංහල භාෂාවෙන් ලියා ඇත',
  'ภาษาไทยเขียนติดกันไม่มีช่องว่าง น้ำ',
  'ພາສາລາວຂຽນຕິດກັນ',
  'မြန်မာဘာသာဖြင့် ရေးသားသည်',
  'ភាសាខ្មែរសរសេរជាប់គ្នា',
  'བོད་ཡིག་གི་ཚིག་གྲུབ།',
  'አማርኛ ጽሑፍ ነው፡፡',
  'ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ꭰꮎ',
  'ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ',
  '这是一段没有空格的中文文字，用来测试分词。',
  '這是繁體中文，還有「引號」和《書名號》！',
  'これは日本語の文章です。カタカナとひらがな、漢字が混ざる。ﾊﾝｶｸ ｶﾞｷﾞ',
  '한국어 문장입니다. 띄어쓰기가 있어요! 값을 읽다',
  '각가힣 \u1112\u1161\u11ab\u1100\u1173\u11af',
  'ꀀꀁ ꆈꌠꁱꂷ',
  'ⵜⴰⵎⴰⵣⵉⵖⵜ ⵜⴰⵏⴰⵡⴰⵢⵜ',
  '😀 ❤️ 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ ☎️ ✂ 😶‍🌫️',
  '①②③ ½ ⅔ ﬁ ﬂ Å Ω ㎏ ㍿ ％ ＡＢＣ ａｂｃ １２３ …‥',
  '𝒜𝓁𝓅𝒽𝒶 𝟙𝟚𝟛 𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
  'a\u0301 e\u0308\u0301 n\u0303 o\u0328\u0304 q\u0307\u0323 Z\u0353\u0334\u0311\u0302',
  'x\u00a0y\u2003z\u3000w\u200bv\u2060u\ufefft\u00ads\u0085r\u2028q\u1680p\u180eo',
  'tab\tnew\nline\r\nreturn\r\u000bform\u000c end',
  '\u0000null \u0001\u0002 \u001b[0m \u007f \u0080 \u009f \ufffd \ufffe \uffff',
  '   leading and trailing   ',
  'many    blanks\n\n\n\nand\t\t\tlines',
  'https://example.org/a_b-c?d=e&f=%20#g user.name+tag@mail.example',
  'f(x) = {x_1^2 + 3.14e-10} / [y|z] <tag attr="v"> &amp; `code` ~/.rc $HOME @me #tag',
  '1234567890 1,234.56 12:30 2024-01-31 +49 (0)30 €5 $6 £7 ¥8 ₹9 5% 20°C',
  '\'quoted\' "double" „tief“ «guillemets» ‘single’ “curly” – — ‑ − · • §',
  'CamelCaseWords snake_case_words kebab-case-words ALLCAPS MiXeD',
  "we're they'll he'd I'm you've it's WE'RE THEY'LL",
  'ǅ ǈ ǋ ǲ ŉ ǰ ΐ ΰ և ẖ ẗ ẘ ẙ ẚ ﬃ ſ K Å',
  'ⅷ Ⅷ ⓐ Ⓐ ⒜ ㈀ ㋐ ℃ № ™ ℡ ﷺ ﷽',
];

const PIECES = WORDS.flatMap((text) => text.split(' ').filter((word) => word !== ''));
const JOINS = ['', ' ', '  ', '\n', '. ', ',', '-', "'", '\t', '_', '/', '\u00a0', '!', '1'];
const RUNS = [
  'a',
  'x',
  '.',
  '-',
  '0',
  ' ',
  '\n',
  '中',
  'あ',
  'ก',
  '한',
  '\u0301',
  '\u00ad',
  '\u0000',
  '😀',
  '\u{e007f}',
  'ы',
  'Σ',
];
const RUN_LENGTHS = [2, 3, 17, 64, 101, 300];
const MIXED = 1500;

/** About 2,000 texts: whole sentences, mixtures of their words, runs of one character, special tokens in a text. */
export function probeTexts(specialTokens: readonly string[]): readonly string[] {
  const texts = [...WORDS, ...WORDS.map((text) => text.toUpperCase())];
  for (const character of RUNS) {
    for (const length of RUN_LENGTHS) {
      texts.push(character.repeat(length), `word ${character.repeat(length)} word`);
    }
  }
  for (const token of specialTokens) {
    texts.push(token, `a ${token} b`, `a${token}b`, `${token}${token}`, token.toLowerCase());
    texts.push(` ${token} `, token.slice(0, -1), `\n${token}.`);
  }
  const next = numbers();
  const pick = (list: readonly string[]) => list[next() % list.length] ?? '';
  for (let made = 0; made < MIXED; made += 1) {
    let text = pick(PIECES);
    for (let words = 1 + (next() % 7); words > 0; words -= 1) text += pick(JOINS) + pick(PIECES);
    texts.push(text);
  }
  return texts;
}

/** Entries that are repeated, of each kind. */
const MOST_REPEATED = 150;
/** A unit and its repetitions: `ww` of `w`. */
const REPETITION = /^(.{1,8}?)\1+$/su;
/** `ala` of `a` and `l`. */
const MIRROR = /^(.)(.)\1$/su;

/**
 * Texts that can be cut in several orders of the same entries: `www` is w|ww and ww|w, `alala` is a|l|ala and ala|l|a. To a tokenizer that
 * takes the likeliest cut (Unigram) these are alike but for the order in which it sums up, so that two of them may differ.
 */
export function tiedTexts(vocabulary: readonly string[]): readonly string[] {
  const known = new Set(vocabulary);
  const repeated = vocabulary.flatMap((entry) => {
    const unit = REPETITION.exec(entry)?.[1];
    return unit !== undefined && unit.trim() !== '' && known.has(unit) ? [unit + entry] : [];
  });
  const mirrored = vocabulary.flatMap((entry) => {
    const [, outer = '', inner = ''] = MIRROR.exec(entry) ?? [];
    return known.has(outer) && known.has(inner) ? [entry + inner + outer] : [];
  });
  return [...evenly(repeated, MOST_REPEATED), ...evenly(mirrored, MOST_REPEATED)].map(
    (run) => `(${run}) x${run}: ${run}${run}`,
  );
}

function evenly(list: readonly string[], most: number): readonly string[] {
  const step = Math.max(1, Math.ceil(list.length / most));
  return list.filter((_, index) => index % step === 0);
}

/** The same numbers each time: the linear congruential generator of Numerical Recipes, its upper bits. */
function numbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

/** Blocks of one kind of characters: a sample stands for all of them. */
export const UNIFORM_BLOCKS: readonly (readonly [number, number])[] = [
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xe000, 0xf8ff],
];
const SURROGATES = [0xd800, 0xdfff] as const;
/** Mathematical letters and symbols, and emoji: beyond them lie scripts that hardly any model knows. */
const ASTRAL: readonly (readonly [number, number])[] = [
  [0x1d400, 0x1d7ff],
  [0x1f000, 0x1faff],
];

/** Characters that always go to the native tokenizer, as a class of a regular expression. */
export const NEVER_LEAN = '\\u{10000}-\\u{1d3ff}\\u{1d800}-\\u{1efff}\\u{1fb00}-\\u{10ffff}';

/** Every character that is tried by itself. */
export function probeCharacters(): readonly number[] {
  const found: number[] = [];
  const uniform = [...UNIFORM_BLOCKS, SURROGATES];
  for (let point = 1; point <= 0xffff; point += 1) {
    const block = uniform.find(([first, last]) => point >= first && point <= last);
    if (block === undefined) found.push(point);
    else point = block[1];
  }
  for (const [first, last] of ASTRAL) {
    for (let point = first; point <= last; point += 1) found.push(point);
  }
  return found;
}

/** Samples of the uniform blocks. */
export function uniformSamples(): readonly number[] {
  const found: number[] = [];
  for (const [first, last] of UNIFORM_BLOCKS) {
    for (let point = first; point <= last; point += 61) found.push(point);
  }
  return found;
}

/** A character where it matters: before and behind a letter, at the end of a word, alone, and before a digit. */
export function inContext(point: number): string {
  const character = String.fromCodePoint(point);
  return `${character}a${character} ${character} ${character}1 `;
}
