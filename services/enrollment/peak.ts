const SPAN_MS = 1_000;

/** The largest value that was noted within the last second, and for up to a second longer. */
export class Peak {
  #spanStartedAtMs = performance.now();
  #now = 0;
  #before = 0;

  note(value: number): void {
    this.#turn();
    this.#now = Math.max(this.#now, value);
  }

  get value(): number {
    this.#turn();
    return Math.max(this.#now, this.#before);
  }

  #turn(): void {
    const spans = Math.floor((performance.now() - this.#spanStartedAtMs) / SPAN_MS);
    if (spans === 0) return;
    this.#before = spans === 1 ? this.#now : 0;
    this.#now = 0;
    this.#spanStartedAtMs += spans * SPAN_MS;
  }
}
