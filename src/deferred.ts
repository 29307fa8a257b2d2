type Resolve<T> = (value: T | PromiseLike<T>) => void;

/** A promise that whoever has this settles. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: Resolve<T>;

  constructor() {
    this.promise = new Promise(takeResolve);
    this.resolve = resolveOfNew as Resolve<T>;
    // It would keep this promise, and what its caller has in its async context, until another is made.
    resolveOfNew = undefined;
  }

  reject(error: Error): void {
    const rejected = Promise.reject(error);
    // If this was settled before, nobody hears of it.
    rejected.catch(() => undefined);
    this.resolve(rejected);
  }
}

let resolveOfNew: Resolve<never> | undefined;
/** Gives away how to resolve a promise that is made. One for all, as a function for each would cost more than the promise. */
function takeResolve(resolve: Resolve<never>): void {
  resolveOfNew = resolve;
}
