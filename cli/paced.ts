const TELL_EVERY_MS = 1_000;

/** Tells a line a second at most, and none twice: elsewhere than in a terminal each is a line of its own. */
export function paced(tell: (line: string) => void): (line: string) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  let told = '';
  return (line) => {
    if (line === told || performance.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = performance.now();
    told = line;
    tell(line);
  };
}
