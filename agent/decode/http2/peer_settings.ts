/** What the peer's SETTINGS say (RFC 9113 §6.5.2), but for its header table, which the encoder keeps. */
import { defaultWindow, ErrorCode, Limit, maximumWindow, Setting } from "./protocol.ts";

export class PeerSettings {
  /** Whether any have come. */
  received = false;
  initialWindow: number = defaultWindow;
  /** No larger than our own frames need be. */
  frameSize: number = Limit.frameSize;
  concurrentStreams = maximumWindow;
  /** Whether requests for other protocols are taken (extended CONNECT, RFC 8441 §3). */
  takesExtendedConnect = false;

  /** Takes over one setting; 0 or an error code. Unknown ones are ignored. */
  set(setting: number, value: number): number {
    switch (setting) {
      case Setting.enablePush:
        return value > 1 ? ErrorCode.protocolError : 0;
      case Setting.maxConcurrentStreams:
        this.concurrentStreams = value;
        return 0;
      case Setting.initialWindowSize:
        if (value > maximumWindow) return ErrorCode.flowControlError;
        this.initialWindow = value;
        return 0;
      case Setting.maxFrameSize:
        if (value < 16384 || value > 16777215) return ErrorCode.protocolError;
        this.frameSize = Math.min(value, Limit.frameSize);
        return 0;
      case Setting.enableConnectProtocol:
        // What was announced cannot be taken back.
        if (value > 1 || (value === 0 && this.takesExtendedConnect)) return ErrorCode.protocolError;
        this.takesExtendedConnect = value === 1;
        return 0;
      default:
        return 0;
    }
  }
}
