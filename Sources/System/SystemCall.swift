// The door to the system: every call on files passes here, is repeated when a signal interrupts it, and can be made
// to fail by a test.

internal import CGraftSystem
internal import Synchronization

/// A kind of call that a test can make fail (``FaultPlan``).
package enum SystemCall: String, Sendable, CaseIterable {
    case open, read, write, synchronize, rename, map, create, remove, link
}

/// Makes a call until no signal interrupts it; a negative result is the error in `errno`.
///
/// `close` is not made here: on Linux the descriptor is gone even after EINTR.
func retrying(
    _ call: SystemCall, at path: String, _ body: () -> Int
) throws(Errno) -> Int {
    while true {
        if FaultPlan.isArmed, let errno = FaultPlan.strike(call, at: path) {
            guard errno == .interrupted else { throw errno }
            continue
        }
        let result = body()
        if result >= 0 { return result }
        let errno = Errno.current
        guard errno == .interrupted else { throw errno }
    }
}

/// Makes a call that returns a C `int`.
@discardableResult
func retrying(
    _ call: SystemCall, at path: String, _ body: () -> Int32
) throws(Errno) -> Int32 {
    Int32(try retrying(call, at: path) { Int(body()) })
}

/// Makes a call that transfers at most `count` bytes; returns how many it did.
func transferring(
    _ call: SystemCall, at path: String, count: Int, _ body: (_ count: Int) -> Int
) throws(Errno) -> Int {
    // Linux transfers at most 2 GiB at once.
    var most = min(count, 1 << 30)
    if FaultPlan.isArmed, FaultPlan.isShortened(call, at: path) {
        most = max(min(most, 1), most / 2)
    }
    return try retrying(call, at: path) { body(most) }
}
