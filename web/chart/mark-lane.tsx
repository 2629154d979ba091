import { useEffect, useRef, useState } from 'preact/hooks';
import { clock, count, plural } from '../data/format.js';
import type { Mark, MarkKind } from '../data/wire.js';
import { EventSymbol, KIND_NAMES } from '../ui/event-symbol.js';
import { EventText } from '../ui/event-text.js';
import type { MarkGroup } from './mark-groups.js';
import { ReceiptSummary } from './receipt-summary.js';

const MAX_COUNT = 99;
/** Width of the list of a group, as in `chart.css`, in rem. */
const LIST_REM = 24;

/** The lane above the plot: a button for each group of marks, which shows what happened there. */
export function MarkLane({
  groups,
  leftPx,
  onActive,
}: {
  readonly groups: readonly MarkGroup[];
  /** Left edge of the plot within the chart, in CSS pixels. */
  readonly leftPx: number;
  /** Is told which marks are looked at. */
  readonly onActive: (marks: readonly Mark[]) => void;
}) {
  const { lane, active, isActive, activate, isReachable, reach, close, onKeyDown } =
    useLane(groups);
  useEffect(() => onActive(active?.marks ?? []), [active?.key, active?.marks.length]);
  const onFocusOut = ({ relatedTarget }: FocusEvent) => {
    if (!(relatedTarget instanceof Node && lane.current?.contains(relatedTarget))) close();
  };
  return (
    <div
      class="mark-lane"
      role="toolbar"
      aria-label="What happened, by time. The arrow keys move."
      ref={lane}
      onKeyDown={onKeyDown}
      onFocusOut={onFocusOut}
      onMouseLeave={close}
    >
      {groups.map((group) => (
        <button
          key={group.key}
          type="button"
          class={`mark-group ${isActive(group) ? 'mark-group-active' : ''}`}
          style={{ left: `${leftPx + group.leftPx}px`, width: `${group.widthPx}px` }}
          data-key={group.key}
          tabIndex={isReachable(group) ? 0 : -1}
          aria-expanded={isActive(group)}
          aria-label={labelOf(group)}
          onMouseEnter={() => activate(group)}
          onFocus={() => {
            activate(group);
            reach(group);
          }}
          onClick={() => activate(group)}
        >
          <GroupSymbol group={group} />
        </button>
      ))}
      {active !== undefined && <MarkList group={active} leftPx={leftPx} />}
    </div>
  );
}

/** Which group is looked at, and which one button the Tab key reaches: the arrow keys move between buttons. */
function useLane(groups: readonly MarkGroup[]) {
  const [activeKey, setActiveKey] = useState<number | undefined>(undefined);
  const [tabKey, setTabKey] = useState<number | undefined>(undefined);
  const lane = useRef<HTMLDivElement>(null);
  const reachable = groups.some(({ key }) => key === tabKey) ? tabKey : groups.at(-1)?.key;
  const close = () => setActiveKey(undefined);
  const move = (by: number) => {
    const at = groups.findIndex(({ key }) => key === reachable);
    const next = groups[Math.min(Math.max(at + by, 0), groups.length - 1)];
    if (next === undefined) return;
    setTabKey(next.key);
    lane.current?.querySelector<HTMLElement>(`[data-key="${next.key}"]`)?.focus();
  };
  return {
    lane,
    active: groups.find(({ key }) => key === activeKey),
    isActive: ({ key }: MarkGroup) => key === activeKey,
    activate: ({ key }: MarkGroup) => setActiveKey(key),
    isReachable: ({ key }: MarkGroup) => key === reachable,
    reach: ({ key }: MarkGroup) => setTabKey(key),
    close,
    onKeyDown: (event: KeyboardEvent) => {
      const act = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), Escape: close }[
        event.key
      ];
      if (act === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    },
  };
}

/** One mark has the symbol of its kind; several are a count, coloured where they are of one kind. */
function GroupSymbol({ group: { marks, symbolPx, leftPx } }: { readonly group: MarkGroup }) {
  const [{ kind }] = marks;
  const style = { left: `${symbolPx - leftPx}px` };
  const isOneKind = marks.every((mark) => mark.kind === kind);
  return (
    <span
      class={marks.length > 1 ? `mark-count ${isOneKind ? `kind-${kind}` : ''}` : 'mark-symbol'}
      style={style}
      aria-hidden="true"
    >
      {marks.length === 1 ? <EventSymbol kind={kind} decorative /> : countText(marks.length)}
    </span>
  );
}

/** Two digits fit the smallest cell; the list says how many there are. */
function countText(length: number): string {
  return length > MAX_COUNT ? `${MAX_COUNT}+` : count(length);
}

/** The marks of a group, the newest first. */
function MarkList({ group, leftPx }: { readonly group: MarkGroup; readonly leftPx: number }) {
  const { marks, symbolPx } = group;
  const middle = `${leftPx + symbolPx}px`;
  const left = `clamp(0px, ${middle} - ${LIST_REM / 2}rem, max(0px, 100% - ${LIST_REM}rem))`;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a long list scrolls, which the keyboard must reach
    <section class="mark-list" style={{ left }} tabIndex={0} aria-label={headOf(marks)}>
      {marks.length > 1 && <p class="mark-list-head">{headOf(marks)}</p>}
      <ul>
        {marks.toReversed().map((mark) => (
          <li key={mark.id}>
            <time dateTime={mark.at}>{clock(mark.at)}</time>
            <EventSymbol kind={mark.kind} />
            <EventText mark={mark} />
            {marks.length === 1 && mark.receipt !== undefined && (
              <ReceiptSummary receipt={mark.receipt} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function headOf(marks: readonly Mark[]): string {
  const [first, last] = [marks[0], marks.at(-1)];
  const times = [first, last].map((mark) => (mark === undefined ? '' : clock(mark.at)));
  return `${plural(marks.length, 'event')}, ${[...new Set(times)].join(' to ')}`;
}

function labelOf({ marks }: MarkGroup): string {
  const [{ at, text }] = marks;
  if (marks.length === 1) return `${clock(at)}: ${text}`;
  const kinds = new Map<MarkKind, number>();
  for (const { kind } of marks) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const counted = [...kinds].map(([kind, times]) => `${count(times)} × ${KIND_NAMES[kind]}`);
  return `${headOf(marks)}: ${counted.join(', ')}`;
}
