/** Where a connection to an upstream host stands, in order: from {@link StreamState.free} on it is established. */
export enum StreamState {
  connecting,
  handshaking,
  free,
  awaitingHead,
  body,
  closed,
}
