// The order of requests: an answer counts only if no newer answer about the same thing has arrived.

/** Numbers requests, and remembers by key the newest one whose answer was taken. */
export class Order {
  #last = 0;
  #taken = new Map();

  next() {
    this.#last += 1;
    return this.#last;
  }

  /** Whether the answer to this request may be used. Takes it if so. */
  take(key, number) {
    if ((this.#taken.get(key) || 0) > number) return false;
    this.#taken.set(key, number);
    return true;
  }
}
