import type { ComponentChildren } from 'preact';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

export interface Column {
  readonly head: string;
  /** Figures stand on the right; an action is a button; a column of names takes the room that is left. */
  readonly kind?: 'figure' | 'action' | 'names';
}

const Columns = createContext<readonly Column[]>([]);

/**
 * A table whose first column names the row. Where it is wider than its panel, each row becomes a card
 * with every figure under the name of its column (`tables.css`), so no column is ever out of sight.
 */
export function Table({
  label,
  columns,
  children,
}: {
  readonly label: string;
  readonly columns: readonly Column[];
  /** `Row`s. */
  readonly children: ComponentChildren;
}) {
  // The roles repeat what the elements mean: Safari forgets it where `display` is not a table's.
  return (
    <div class="table" style={{ '--columns': columns.length }}>
      {/* biome-ignore lint/a11y/noRedundantRoles: as said above */}
      <table role="table" aria-label={label}>
        {/* biome-ignore lint/a11y/noRedundantRoles: as said above */}
        <thead role="rowgroup">
          {/* biome-ignore lint/a11y/noRedundantRoles: as said above */}
          <tr role="row">
            {columns.map(({ head, kind }) => (
              // biome-ignore lint/a11y/noRedundantRoles: as said above
              <th key={head} role="columnheader" scope="col" class={kind}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        {/* biome-ignore lint/a11y/noRedundantRoles: as said above */}
        <tbody role="rowgroup">
          <Columns.Provider value={columns}>{children}</Columns.Provider>
        </tbody>
      </table>
    </div>
  );
}

/** One row; `cells` in the order of the table's columns. */
export function Row({
  cells,
  below,
}: {
  readonly cells: readonly ComponentChildren[];
  /** Details of the row, over its whole width. */
  readonly below?: ComponentChildren;
}) {
  const columns = useContext(Columns);
  const [name, ...rest] = cells;
  return (
    <>
      {/* biome-ignore lint/a11y/noRedundantRoles: see Table */}
      <tr role="row" class={below ? 'row-open' : undefined}>
        {/* biome-ignore lint/a11y/noRedundantRoles: see Table */}
        <th role="rowheader" scope="row">
          {name}
        </th>
        {rest.map((cell, index) => {
          const { head = '', kind } = columns[index + 1] ?? {};
          return (
            // biome-ignore lint/a11y/noRedundantRoles: see Table
            <td key={head} role="cell" class={kind} data-head={head}>
              <div class="cell">{cell}</div>
            </td>
          );
        })}
      </tr>
      {below && (
        // biome-ignore lint/a11y/noRedundantRoles: see Table
        <tr role="row" class="row-below">
          {/* biome-ignore lint/a11y/noRedundantRoles: see Table */}
          <td role="cell" colSpan={columns.length}>
            {below}
          </td>
        </tr>
      )}
    </>
  );
}
