/** How far the views show each service: up to an instant, so that a reader can say as of when. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceName } from '#lib/config';
import type { Query } from '#lib/database';
import type { Follower } from '#lib/follower';
import type { Event } from '#proto/eventlog/v1/service';

/** All that happened until the last of these events is shown. */
export async function recordApplied(source: ServiceName, events: Event[], query: Query): Promise<void> {
  const at = events.at(-1)?.at;
  if (!at) return;
  await query(
    `insert into sources (source, as_of) values ($1, $2)
     on conflict (source) do update set as_of = greatest(sources.as_of, excluded.as_of)`,
    [source, timestampDate(at)],
  );
}

/** All that happened until a service was last heard is shown, where nothing of its log was left to apply. */
export async function recordHeard(followers: readonly Follower[], query: Query): Promise<void> {
  const heard = followers.flatMap(({ lag, caughtUp }) => (caughtUp ? [{ source: lag.source, ...caughtUp }] : []));
  if (heard.length === 0) return;
  // A checkpoint that is elsewhere by now was moved by a rebuild or by another projector: that one knows better.
  await query(
    `insert into sources (source, as_of)
     select source, heard.at from unnest($1::text[], $2::bigint[], $3::timestamptz[]) as heard (source, position, at)
     join checkpoints using (source, position) order by source
     on conflict (source) do update set as_of = excluded.as_of where sources.as_of < excluded.as_of`,
    [heard.map(({ source }) => source), heard.map(({ position }) => position), heard.map(({ at }) => at)],
  );
}
