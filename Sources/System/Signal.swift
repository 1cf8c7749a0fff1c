// Signals: which ones end a program, and what to do about them.

internal import CGraftSystem

/// A signal of the system.
package enum Signal: Sendable {
    /// SIGINT: Control-C.
    case interrupt
    /// SIGTERM: asked to end.
    case terminate
    /// SIGPIPE: the reader of a pipe is gone.
    case brokenPipe

    /// Its number.
    package var number: Int32 {
        switch self {
        case .interrupt: SIGINT
        case .terminate: SIGTERM
        case .brokenPipe: SIGPIPE
        }
    }

    /// Has the process ignore it: what it announces is reported by a call, or handled elsewhere.
    package func ignore() { graft_ignore_signal(number) }
    /// Has the process end by it, as a new process does.
    package func restore() { graft_restore_signal(number) }
}
