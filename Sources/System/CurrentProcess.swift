// This process, and what it may ask of others: numbers, pauses, processors.

internal import CGraftSystem

/// This process.
package enum CurrentProcess {
    /// Its number.
    package static var id: Int32 { getpid() }

    /// Lets it open as many files as the system allows: thousands of locks may be held.
    package static func allowManyFiles() { graft_allow_many_files() }

    /// Stops this thread for a while.
    package static func pause(seconds: Double) {
        var left = timespec(
            tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
        var rest = timespec()
        while nanosleep(&left, &rest) != 0, graft_errno() == EINTR { left = rest }
    }

    /// Whether a process of this machine runs; true of one that this user may not ask.
    package static func isRunning(_ id: Int32) -> Bool {
        kill(id, 0) == 0 || graft_errno() != ESRCH
    }
}

/// The processors of this machine.
package enum Processors {
    /// The number of processors that are online.
    package static let count = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
}
