// Work that is done ahead by other threads, and handed over in order.

import Dispatch

/// The results of independent jobs in the order of their numbers, whoever finishes first.
///
/// A few threads work ahead of the one that asks, but never by more than `ahead` results, so that
/// decoding overlaps computing and memory stays flat. Results do not depend on the number of threads.
package final class Prefetch<Value: Sendable> {
    private final class Slot: @unchecked Sendable {
        // Written once before the signal, read once after it.
        var value: Value?
        let done = DispatchSemaphore(value: 0)
    }

    private let count: Int
    private let job: @Sendable (Int) -> Value
    private let queues: [DispatchQueue]
    private var waiting: [Int: Slot] = [:]
    private var started = 0
    private var taken = 0
    private let ahead: Int

    /// Jobs 0 ..< `count` on as many threads as may decode beside those that compute.
    package convenience init(count: Int, job: @escaping @Sendable (Int) -> Value) {
        self.init(count: count, workers: Workers.count, job: job)
    }

    init(
        count: Int, workers: Int, ahead: Int = 32,
        job: @escaping @Sendable (Int) -> Value
    ) {
        self.count = count
        self.job = job
        self.ahead = max(ahead, 1)
        queues = (0..<max(workers, 1)).map { DispatchQueue(label: "graft.prefetch.\($0)") }
        while started < min(self.ahead, count) { start() }
    }

    /// The next result; nil after the last.
    package func next() -> Value? {
        guard taken < count, let slot = waiting.removeValue(forKey: taken) else { return nil }
        slot.done.wait()
        taken += 1
        if started < count { start() }
        return slot.value
    }

    private func start() {
        let (slot, number, job) = (Slot(), started, job)
        waiting[number] = slot
        queues[number % queues.count].async {
            slot.value = job(number)
            slot.done.signal()
        }
        started += 1
    }
}
