/** Loopback addresses that no other mesh on this machine uses: 127.BLOCK.0.0/16, claimed for as long as it is needed. */

const claimPort = 14_999;
const skiffPorts = [15_000, 15_001, 15_002, 15_006, 15_011, 15_012, 15_014, 15_020, 15_021, 15_053];

export interface LoopbackBlock extends Disposable {
  /** Control plane: 127.BLOCK.0.1. */
  controlPlane: string;
  /** What peers of the nth machine dial, counted from 1: 127.BLOCK.n.1. */
  machine(number: number): string;
  /** The nth machine's range of addresses for services, counted from 1: 127.(64 + BLOCK).(16 n).0/20. */
  virtual(machine: number): string;
  /** The nth machine's own address for its kth workload, counted from 1: 127.BLOCK.n.(10 + k). */
  workload(machine: number, number: number): string;
}

/**
 * Takes the first block whose ports are free, 127.0.0.0/16 before others. Two that ask at the same time get two: a
 * listener on the block's claim port holds it until it is disposed of.
 * @throws {Error} when no block is free.
 */
export function claimLoopbackBlock(machines = 3): LoopbackBlock {
  for (let block = 0; block < 64; block++) {
    const claim = tryListen(`127.${block}.0.1`, claimPort);
    if (claim === null) continue;
    const addresses = Array.from({ length: machines + 1 }, (_, machine) => `127.${block}.${machine}.1`);
    if (addresses.every((address) => skiffPorts.every((port) => isFree(address, port)))) {
      return {
        controlPlane: addresses[0],
        machine: (number) => addresses[number],
        virtual: (machine) => `127.${64 + block}.${16 * machine}.0/20`,
        workload: (machine, number) => `127.${block}.${machine}.${10 + number}`,
        [Symbol.dispose]: () => claim.close(),
      };
    }
    claim.close();
  }
  throw new Error(`no free loopback addresses: 127.0.0.0/16 to 127.63.0.0/16 are all in use on ports ${skiffPorts}`);
}

function isFree(hostname: string, port: number): boolean {
  const listener = tryListen(hostname, port);
  listener?.close();
  return listener !== null;
}

function tryListen(hostname: string, port: number): Deno.Listener | null {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) return null;
    throw error;
  }
}
