import { useMemo } from 'preact/hooks';
import { percent } from '../../../data/format.js';
import { piecesOf } from '../../../data/marked-text.js';
import type { Entity } from '../../../data/wire.js';

/** Colours that labels take in turn; `panels.css` has them. */
const COLOURS = 8;
/** The beginning and inside of an entity have one colour: B-PER and I-PER. */
const PLACE_IN_ENTITY = /^[BIES]-/;

/** The text with its entities marked, each with its label and score. */
export function Entities({
  text,
  entities,
}: {
  readonly text: string;
  readonly entities: readonly Entity[];
}) {
  const pieces = useMemo(() => {
    const kinds = [...new Set(entities.map(({ label }) => kindOf(label)))];
    return piecesOf(text, entities).map(({ text: part, entity }, index) =>
      entity === undefined ? (
        part
      ) : (
        <mark
          key={index}
          class="entity"
          data-colour={kinds.indexOf(kindOf(entity.label)) % COLOURS}
        >
          {part}
          <small>
            {' '}
            <bdi>{entity.label}</bdi> {percent(entity.score)}
          </small>
        </mark>
      ),
    );
  }, [text, entities]);
  return (
    <>
      {entities.length === 0 && <p class="none">No entity was found.</p>}
      <p class="entities" dir="auto">
        {pieces}
      </p>
    </>
  );
}

function kindOf(label: string): string {
  return label.replace(PLACE_IN_ENTITY, '');
}
