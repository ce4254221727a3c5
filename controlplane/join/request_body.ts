/** Reading a request's body from a stranger: bounded in size and in time. */

export class BodyError extends Error {
  override name = "BodyError";
  constructor(readonly status: 400 | 408 | 413, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * @param limit bytes
 * @param deadline milliseconds for the whole body; a trickle does not extend it
 * @throws {BodyError}
 */
export async function readBody(request: Request, limit: number, deadline: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const tooLarge = () => new BodyError(413, `the body is larger than ${limit} bytes`);
  if (Number(request.headers.get("content-length")) > limit) throw tooLarge();
  const reader = request.body.getReader();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new BodyError(408, `the body took longer than ${deadline} ms`)), deadline);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      size += value.length;
      if (size > limit) throw tooLarge();
      chunks.push(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    if (error instanceof BodyError) throw error;
    throw new BodyError(400, "the body ended early", { cause: error });
  } finally {
    clearTimeout(timer);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}
