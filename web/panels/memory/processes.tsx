import { mb } from '../../data/format.js';
import { SLOTS } from '../../data/process-slots.js';
import { useLive } from '../../data/use-live.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const COLUMNS: readonly Column[] = [
  { head: 'process' },
  { head: 'private, MB', kind: 'figure' },
  { head: 'shared, MB', kind: 'figure' },
];

/** The chart's legend, with the current figures. */
export function Processes() {
  const { history } = useLive();
  const last = history.processes.length - 1;
  const slots = Array.from({ length: SLOTS }, (_, slot) => history.slotAt(last, slot));
  return (
    <Panel title="Processes">
      <Table label="Memory by process" columns={COLUMNS}>
        {slots.map((process, slot) =>
          process === undefined ? null : (
            <Row
              key={process.name}
              cells={[
                <span key="name" class={`swatch slot-${slot}`}>
                  {process.name}
                </span>,
                mb(process.privateMb),
                mb(process.sharedMb),
              ]}
            />
          ),
        )}
      </Table>
    </Panel>
  );
}
