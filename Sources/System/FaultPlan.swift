// Failures on purpose: a test makes the n-th call of a kind below a folder fail as a full or broken disk would.

internal import Synchronization

/// A failure that a test asks for: of the calls of one kind on paths below one folder, the n-th fails.
///
/// Calls of other folders are never touched, so that tests can run side by side. Where no plan is
/// installed the cost is one load of a flag per call of the system.
package final class FaultPlan: Sendable {
    /// The outcome of the call.
    package enum Fault: Hashable, Sendable {
        /// It fails with this error; with EINTR it is made again.
        case failure(Errno)
        /// It transfers fewer bytes than it was asked to.
        case shortCount
    }

    private let folder: String
    private let call: SystemCall
    private let number: Int
    private let fault: Fault
    private let count = Mutex(0)

    /// The plan that call `number`, from 0, of a kind below `folder` meets `fault`.
    package init(_ fault: Fault, at call: SystemCall, number: Int, below folder: String) {
        self.fault = fault
        self.call = call
        self.number = number
        self.folder = folder
    }

    /// The number of calls of the kind below the folder so far.
    package var callCount: Int { count.withLock { $0 } }
    /// Whether the call came that was to fail.
    package var hasStruck: Bool { callCount > number }

    /// Runs `body` with the plan in force.
    package func whileInForce<Result>(_ body: () throws -> Result) rethrows -> Result {
        install()
        defer { uninstall() }
        return try body()
    }

    /// Runs `body` with the plan in force.
    package func whileInForce<Result: Sendable>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        install()
        defer { uninstall() }
        return try await body()
    }

    private static let plans = Mutex<[FaultPlan]>([])
    private static let armed = Atomic(false)

    private func install() {
        Self.plans.withLock { plans in
            plans.append(self)
            Self.armed.store(true, ordering: .releasing)
        }
    }

    private func uninstall() {
        Self.plans.withLock { plans in
            plans.removeAll { $0 === self }
            Self.armed.store(!plans.isEmpty, ordering: .releasing)
        }
    }

    /// Whether any plan is in force.
    static var isArmed: Bool { armed.load(ordering: .relaxed) }

    /// Counts a call; the error that it is to fail with, if it is to.
    static func strike(_ call: SystemCall, at path: String) -> Errno? {
        for plan in plans(for: call, at: path) {
            guard case .failure(let errno) = plan.fault, plan.isNext() else { continue }
            return errno
        }
        return nil
    }

    /// Counts a call; whether it is to transfer less than it could.
    static func isShortened(_ call: SystemCall, at path: String) -> Bool {
        plans(for: call, at: path).contains { $0.fault == .shortCount && $0.isNext() }
    }

    private static func plans(for call: SystemCall, at path: String) -> [FaultPlan] {
        plans.withLock { $0 }.filter { $0.call == call && path.hasPrefix($0.folder) }
    }

    private func isNext() -> Bool {
        count.withLock { count in
            defer { count += 1 }
            return count == number
        }
    }
}
