/**
 * Sends bytes over plain TCP and returns what comes back until the peer closes, or for `patience` milliseconds.
 * A reset counts as the end.
 */
export async function sendPlain(hostname: string, port: number, text: string, patience = 1_500): Promise<string> {
  const connection = await Deno.connect({ hostname, port });
  const timer = setTimeout(() => connection.close(), patience);
  let answer = "";
  try {
    await connection.write(new TextEncoder().encode(text));
    const decoder = new TextDecoder();
    for await (const chunk of connection.readable) answer += decoder.decode(chunk, { stream: true });
  } catch {
    // Closed by the peer or by the timer: what has come is the answer.
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // The readable stream has closed it.
    }
  }
  return answer;
}
