/** Seat counts as they change, for any number of people who look at them: the views are asked once a second for all. */
import { Readable } from 'node:stream';
import type { Logger } from '#lib/log';
import type { Views } from '#views/reader';
import { SectionView } from '#views/section';
import { NO_TOKEN } from '#views/token';
import { Problem, unavailable } from './problem.ts';
import { readAt } from './read-views.ts';
import { sectionOf } from './section.ts';

const POLL_MS = 1_000;
const HEARTBEAT_MS = 15_000;
const STREAMS_MAX = 10_000;
/** A client that does not read gets the newest counts later, instead of all of them at once. */
const UNREAD_BYTES_MAX = 64 * 1024;
const RETRY_AFTER_SECONDS = 5;

type Section = ReturnType<typeof sectionOf>;
type Seats = Pick<Section, 'id' | 'capacity' | 'seatsTaken' | 'seatsLeft' | 'waitlisted' | 'asOf'>;

interface Counted {
  seats: Seats;
  version: number;
  countedAtMs: number;
}

interface Watcher {
  stream: Readable;
  ids: readonly string[];
  /** What was counted before was told on an earlier stream. */
  afterMs: number;
  /** Version by section of what it knows. */
  known: Map<string, number>;
  /** When the newest count that it was told of was made. */
  lastEventMs: number;
  spokenAtMs: number;
}

export class SeatBoard {
  readonly #views: Views;
  readonly #logger: Logger;
  readonly #watchers = new Set<Watcher>();
  #polling: Promise<void> | undefined;
  #closed = false;

  constructor(views: Views, logger: Logger) {
    this.#views = views;
    this.#logger = logger;
  }

  /**
   * A stream of server-sent events: the counts as they are, then what changes, coalesced to one frame a second.
   * @param afterMs the id of the last event that was seen; what was counted before it is not told again;
   *   what was counted in the same moment may be, since counts are whole.
   */
  watch(ids: readonly string[], afterMs: number): Readable {
    if (this.#closed) throw unavailable('edge');
    if (this.#watchers.size >= STREAMS_MAX) {
      throw new Problem(503, 'edge-busy', 'Too many people are watching.', { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    const stream = new Readable({ read: () => undefined });
    const watcher: Watcher = { stream, ids, afterMs, known: new Map(), lastEventMs: afterMs, spokenAtMs: 0 };
    this.#watchers.add(watcher);
    stream.once('close', () => this.#watchers.delete(watcher));
    this.#polling ??= this.#poll();
    return stream;
  }

  /** Ends every stream, and begins no new one. */
  close(): void {
    this.#closed = true;
    for (const { stream } of this.#watchers) stream.push(null);
    this.#watchers.clear();
  }

  /** As long as anybody watches. */
  async #poll(): Promise<void> {
    while (this.#watchers.size > 0) {
      try {
        const counted = await this.#read([...new Set([...this.#watchers].flatMap(({ ids }) => ids))]);
        for (const watcher of this.#watchers) tell(watcher, counted);
      } catch (error) {
        // The counts that people see grow older; their streams stay, and go on by themselves.
        this.#logger.warn({ reason: String(error) }, 'seat counts not read');
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS).unref());
    }
    this.#polling = undefined;
  }

  #read(ids: string[]): Promise<Map<string, Counted>> {
    return readAt(NO_TOKEN, this.#views, async (em, asOf) => {
      const found = await em.find(SectionView, { id: { $in: ids } });
      return new Map(
        found.map((view) => {
          const { id, capacity, seatsTaken, seatsLeft, waitlisted, asOf: at } = sectionOf(view, asOf);
          const seats = { id, capacity, seatsTaken, seatsLeft, waitlisted, asOf: at };
          return [id, { seats, version: Number(view.seatsVersion ?? 0), countedAtMs: view.countsAt?.getTime() ?? 0 }];
        }),
      );
    });
  }
}

function tell(watcher: Watcher, counted: Map<string, Counted>): void {
  const { stream } = watcher;
  if (stream.readableLength > UNREAD_BYTES_MAX) return;
  const news = newsFor(watcher, counted);
  const now = Date.now();
  if (news.length > 0) {
    watcher.lastEventMs = Math.max(watcher.lastEventMs, ...news.map(({ countedAtMs }) => countedAtMs));
    const data = JSON.stringify({ items: news.map(({ seats }) => seats) });
    stream.push(`event: seats\nid: ${watcher.lastEventMs}\ndata: ${data}\n\n`);
  } else if (now - watcher.spokenAtMs < HEARTBEAT_MS) return;
  else stream.push(': still here\n\n');
  watcher.spokenAtMs = now;
}

/** What changed since it was told, on this stream or on the one before. The next replica that is asked may be behind the last one. */
function newsFor({ ids, known, afterMs }: Watcher, counted: Map<string, Counted>): Counted[] {
  return ids
    .flatMap((id) => counted.get(id) ?? [])
    .filter(({ seats, version, countedAtMs }) => {
      const before = known.get(seats.id);
      if (before !== undefined && version <= before) return false;
      known.set(seats.id, version);
      return before !== undefined || countedAtMs >= afterMs;
    });
}
