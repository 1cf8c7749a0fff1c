// How many connections help: more are opened only as long as they bring more.

/// Doubles the connections of a file while that makes it faster, and stops where it no longer does.
struct Pace: Equatable {
    /// How many connections there should be.
    private(set) var connections = 4
    private var isSettled = false
    private var start: (time: Double, bytes: Int)?
    private var best = 0.0

    static func == (a: Pace, b: Pace) -> Bool {
        a.connections == b.connections && a.isSettled == b.isSettled && a.best == b.best
    }

    /// How long a rate is measured before it is believed, in seconds.
    static let window = 0.25
    /// By how much a step must help to be worth another one.
    static let gain = 1.2

    /// A pace that never exceeds `most`; `isFixed` begins with that many and stays there.
    init(most: Int = 16, isFixed: Bool = false) {
        connections = isFixed ? most : min(connections, most)
        isSettled = isFixed
    }

    /// Looks at what arrived so far; `open` connections are under way.
    mutating func look(now: Double, bytes: Int, open: Int, most: Int) {
        guard !isSettled else { return }
        guard open >= connections else {
            start = nil
            return
        }
        guard let start else {
            self.start = (now, bytes)
            return
        }
        let elapsed = now - start.time
        guard elapsed >= Self.window else { return }
        let rate = Double(bytes - start.bytes) / elapsed
        if rate > best * Self.gain, connections < most {
            best = rate
            connections = min(most, connections * 2)
        } else {
            isSettled = true
        }
        self.start = nil
    }

    /// The server will not have more than `open` connections.
    mutating func refuse(open: Int) {
        connections = max(1, open)
        isSettled = true
    }
}
