// The deadlines of a connection: each state that a client could hold it in has one.

import NIOCore

extension Connection {
    /// Sets the deadline of what is waited for now.
    func arm(restarting: Bool = false) {
        guard let context else { return }
        let (next, time) = wanted()
        guard next != phase || restarting else { return }
        phase = next
        deadline?.cancel()
        deadline = nil
        periodByteCount = 0
        guard let time else { return }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            connection.value.expired()
        }
    }

    private func wanted() -> (Phase, Duration?) {
        let limits = shared.limits
        if isClosing { return (.linger, .seconds(2)) }
        if unfinishedWrites > 0 { return (.answer, limits.answerTime) }
        if let current {
            let isWaiting = !current.isBodyComplete && !current.isBodyBroken && isReading
            return isWaiting ? (.body, limits.bodyTime) : (.none, nil)
        }
        if drain != nil { return (.drain, .seconds(5)) }
        return parse == .between ? (.idle, limits.idleTime) : (.head, limits.headTime)
    }

    private func expired() {
        guard let context else { return }
        let received = periodByteCount
        switch phase {
        case .none: break
        case .idle, .linger, .drain: context.close(promise: nil)
        case .head: refuse(408)
        case .answer:
            // The writes fail by this, and with them the task that sends.
            current?.status = 0
            context.close(promise: nil)
        case .body:
            guard received < shared.limits.bytesPerPeriod else { return arm(restarting: true) }
            breakBody(.tooSlow)
        }
    }
}
