// The child's side of a confined process: it hears its parent and answers.

internal import CGraftSystem

/// The side of a program that was started as a ``ConfinedProcess``: descriptor 0 is the socket to the parent, 3 the
/// file that was passed.
package enum ConfinedChild {
    /// Fills a buffer with what the parent sends; false if the parent is gone.
    package static func receive(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        var filled = 0
        while filled < buffer.count {
            let count = read(
                0, buffer.baseAddress.map { $0 + filled }, min(buffer.count - filled, 1 << 30))
            if count < 0, graft_errno() == EINTR { continue }
            guard count > 0 else { return false }
            filled += count
        }
        return true
    }

    /// Sends all bytes. Ends the process if the parent is gone, and with it the reason to continue.
    package static func send(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let count = write(0, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0, graft_errno() == EINTR { continue }
            guard count > 0 else { exit(0) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Closes the file that was passed.
    package static func closeFile() { close(3) }
}
