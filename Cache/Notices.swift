// What a person wants to know while a fetch goes on, and what it sends where that is asked for.

import Synchronization

/// Remarks on the way. The program shows them on stderr; the library drops them unless somebody listens.
package enum Notices {
    private static let listener = Mutex<(@Sendable (String) -> Void)?>(nil)
    private static let said = Mutex<Set<String>>([])
    private static let tracing = Atomic(false)

    /// Hands every further remark to `body`, one line each.
    package static func listen(_ body: @escaping @Sendable (String) -> Void) {
        listener.withLock { $0 = body }
    }

    /// Whether requests are shown.
    package static var isTracing: Bool {
        tracing.load(ordering: .relaxed) || HubCache.isSet("HF_DEBUG")
    }

    /// Shows every further request.
    package static func trace() { tracing.store(true, ordering: .relaxed) }

    package static func say(_ text: String) { listener.withLock { $0 }?(Secrets.masked(text)) }

    /// Says something that is said once in a process.
    package static func sayOnce(_ text: String) {
        if said.withLock({ $0.insert(text).inserted }) { say(text) }
    }
}
