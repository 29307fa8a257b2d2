/** So many pieces of work in a row that were alone: the next one is likely to be alone too. */
const SERIES = 4;

/**
 * Whether work comes one piece at a time, each when the last is done. The next piece then does not wait for the end of its turn:
 * waiting costs more than most of what is done for it, and nothing comes to share what is sent. When company does come, it is
 * sent separately, and whatever comes from then on is gathered again.
 */
export class Solitude {
  #series = 0;

  get isLikely(): boolean {
    return this.#series >= SERIES;
  }

  /** Notes that so many pieces were sent together, behind so many that were under way. */
  sent(pieces: number, underWay: number): void {
    this.#series = pieces === 1 && underWay === 0 ? this.#series + 1 : 0;
  }

  /** The next piece will have company. */
  end(): void {
    this.#series = 0;
  }
}
