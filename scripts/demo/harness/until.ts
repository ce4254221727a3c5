/**
 * Asks again and again until the answer is neither `null`, `undefined` nor `false`; errors count as "not yet".
 * @param what Ends the message "… did not happen within": a sentence about what is waited for.
 * @throws {Error} when time is over, with the last error, or with what `explain` says.
 */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | null | undefined | false> | Answer | null | undefined | false,
  { timeout = 15_000, interval = 50, explain }: { timeout?: number; interval?: number; explain?: () => string } = {},
): Promise<Answer> {
  const deadline = Date.now() + timeout;
  let last = "";
  while (true) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
      last = "";
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() >= deadline) {
      const why = [last, explain?.() ?? ""].filter((part) => part !== "").join("; ");
      throw new Error(`${what}: not within ${timeout} ms${why === "" ? "" : ` (${why})`}`);
    }
    await new Promise((done) => setTimeout(done, interval));
  }
}
