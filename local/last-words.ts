import { CONFIG_EXIT_CODE } from '#lib/process';
import { sentenceForLog } from './failure.ts';

/** How a process ended, and what it wrote in its last run. */
export interface End {
  how: string;
  words: string;
}

const MISCONFIGURED = `exit code ${CONFIG_EXIT_CODE}`;

/** What a person can do about this end, where that is known. */
export function remedyFor({ how, words }: End): string | undefined {
  return sentenceForLog(`${how}\n${words}`);
}

/** Whether trying again would end the same way. */
export function isHopeless(end: End): boolean {
  return end.how === MISCONFIGURED || remedyFor(end) !== undefined;
}

/** Why a process does not come up, in one sentence. */
export function whyNotUp(name: string, end: End, logFile: string): string {
  const last = lastMessage(end.words)?.replace(`${name} cannot start: `, '');
  return remedyFor(end) ?? `${name} cannot start (${end.how})${last ? `: ${last}` : ''}. See ${logFile}`;
}

/** The newest line about a failure, else the last line; of a JSON line its message. */
function lastMessage(words: string): string | undefined {
  const lines = words.split('\n').filter((line) => line.trim());
  const failure = /FATAL|PANIC|"level":"?(error|fatal|50|60)|^\w*(Error|Exception)\b/;
  const telling = lines.findLast((line) => failure.test(line)) ?? lines.at(-1);
  if (!telling?.startsWith('{')) return telling;
  try {
    const entry: { msg?: unknown } = JSON.parse(telling);
    return typeof entry.msg === 'string' ? entry.msg : telling;
  } catch {
    return telling;
  }
}
