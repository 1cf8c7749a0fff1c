// How many threads decode photos while others compute.

import GraftExecution

/// The threads that work ahead.
package enum Workers {
    /// Another number than the usual one, for a test that it decides nothing.
    @TaskLocal package static var wanted: Int?

    /// Half of what the process may use: the other half computes.
    static var count: Int { wanted ?? max(1, Threads.usable / 2) }
}
