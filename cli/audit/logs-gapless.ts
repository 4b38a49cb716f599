import { services } from '#lib/config';
import type { Tally } from './finding.ts';
import { type Audited, type DatabaseName, type Invariant, inSnapshots } from './platform.ts';

const names: readonly DatabaseName[] = [...services, 'views', 'workflows'];

/** Whoever appends holds the lock on the head, so times go forward; but a clock may be set back a little, as after a failover. */
const CLOCK_SLACK = '1 second';

const positionsAreGapless = `
  select position::text as id, case
    when position <> lag(position, 1, 0::bigint) over w + 1
      then format('the event before it is at %s', lag(position, 1, 0::bigint) over w)
    when at < lag(at) over w - interval '${CLOCK_SLACK}' then format('it happened at %s, the one before it at %s', at, lag(at) over w)
    end as sentence
  from events window w as (order by position)`;

const HEAD_IS_THE_LAST = `
  select 'head' as id, case
    when head.position <> log.last or head.position <> log.count
      then format('the head is %s, the last event is at %s, and there are %s', head.position, log.last, log.count)
    end as sentence
  from event_head head cross join (select count(*) as count, coalesce(max(position), 0) as last from events) log`;

interface Checkpoint {
  follower: DatabaseName;
  source: string;
  position: bigint;
}

/** I11, as far as it can be seen at one moment: that each event takes effect once is what the checkpoint's transaction is for. */
export const logsGapless: Invariant = {
  name: 'I11',
  sentence: 'No log has a gap, and nobody has read beyond its end',
  async look(audited, tally) {
    // Checkpoints first: heads only grow, so whatever a checkpoint had reached is there when the heads are read.
    const checkpoints = await readCheckpoints(audited);
    const heads = new Map<string, bigint>();
    for (const name of presentIn(audited)) heads.set(name, await lookAtLog(audited, name, tally));
    tally.count(checkpoints.length);
    for (const { follower, source, position } of checkpoints) {
      const head = heads.get(source);
      if (head !== undefined && position <= head) continue;
      tally.breach(`${follower} of ${source}`, `it has read up to ${position}, and the head is ${head ?? 'unknown'}`);
    }
  },
};

function presentIn({ databaseUrl }: Audited): DatabaseName[] {
  return names.filter((name) => databaseUrl(name) !== undefined);
}

async function readCheckpoints(audited: Audited): Promise<Checkpoint[]> {
  const checkpoints: Checkpoint[] = [];
  for (const follower of presentIn(audited)) {
    await inSnapshots(audited, [follower], async (of) => {
      const sql = 'select source, position from checkpoints order by source';
      const rows = await of[follower]<{ source: string; position: string }>(sql);
      for (const { source, position } of rows) checkpoints.push({ follower, source, position: BigInt(position) });
    });
  }
  return checkpoints;
}

/** @returns the head */
function lookAtLog(audited: Audited, name: DatabaseName, tally: Tally): Promise<bigint> {
  return inSnapshots(audited, [name], async (of) => {
    const query = of[name];
    await tally.look(query, positionsAreGapless, `${name} `);
    await tally.look(query, HEAD_IS_THE_LAST, `${name} `);
    const [head] = await query<{ position: string }>('select position from event_head');
    return BigInt(head?.position ?? 0);
  });
}
