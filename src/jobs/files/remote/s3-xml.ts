/** What S3 answers in XML: flat lists of few fields, which need no parser of all XML. Pure. */

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** The text of the first element of that name. */
export function elementOf(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  const end = start < 0 ? -1 : xml.indexOf(`</${name}>`, start);
  return end < 0 ? undefined : unescaped(xml.slice(start + name.length + 2, end));
}

/** What is within each element of that name. */
export function* elementsOf(xml: string, name: string): Generator<string> {
  let at = 0;
  for (;;) {
    const start = xml.indexOf(`<${name}>`, at);
    const end = start < 0 ? -1 : xml.indexOf(`</${name}>`, start);
    if (end < 0) return;
    yield xml.slice(start + name.length + 2, end);
    at = end;
  }
}

function unescaped(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

export interface S3Entry {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

/** One page of ListObjectsV2, asked for with `encoding-type=url`. */
export function listPage(xml: string): {
  readonly entries: readonly S3Entry[];
  readonly next: string | undefined;
} {
  const isEncoded = elementOf(xml, 'EncodingType') === 'url';
  const entries = [...elementsOf(xml, 'Contents')].map((content) => {
    const key = elementOf(content, 'Key') ?? '';
    return {
      key: isEncoded ? decodeURIComponent(key.replaceAll('+', ' ')) : key,
      bytes: Number(elementOf(content, 'Size')),
      etag: (elementOf(content, 'ETag') ?? '').replaceAll('"', ''),
    };
  });
  const isCut = elementOf(xml, 'IsTruncated') === 'true';
  return { entries, next: isCut ? elementOf(xml, 'NextContinuationToken') : undefined };
}

/** Body of CompleteMultipartUpload. */
export function completeXml(etags: readonly string[]): string {
  const parts = etags.map(
    (etag, index) =>
      `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</ETag></Part>`,
  );
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`;
}
