// How many threads decode photos while others compute.

import GraftExecution

/// The threads that work ahead.
enum Workers {
    /// Half of what the process may use: the other half computes.
    static let count = max(1, Threads.usable / 2)
}
