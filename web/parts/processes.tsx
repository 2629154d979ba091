import { mb } from '../data/format.js';
import { SLOTS } from '../data/slots.js';
import { useLive } from '../data/use-live.js';
import { Panel, Table } from './panel.js';

/** The legend of the chart, with the figures of now. */
export function Processes() {
  const { history } = useLive();
  const last = history.processes.length - 1;
  const moments = Array.from({ length: SLOTS }, (_, slot) => history.slotAt(last, slot));
  return (
    <Panel title="Processes" area="processes">
      <Table label="Memory by process" heads={['process', '#private, MB', '#shared, MB']}>
        {moments.map((moment, slot) =>
          moment === undefined ? null : (
            <tr key={moment.name}>
              <th scope="row">
                <span class={`swatch slot-${slot}`}>{moment.name}</span>
              </th>
              <td class="figure">{mb(moment.privateMb)}</td>
              <td class="figure">{mb(moment.sharedMb)}</td>
            </tr>
          ),
        )}
      </Table>
    </Panel>
  );
}
