// The rights that a process gives up for good before it parses a stranger's file.

internal import CSandbox
internal import Synchronization

/// What holds a parser back. Limits of processor time, memory, file sizes and descriptors are always
/// set; the two of Linux are there if the kernel has them, and each alone refuses files and network.
public struct Confinement: OptionSet, Sendable {
    /// The bits of the set.
    public let rawValue: Int32
    /// A set of these bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Landlock: no file is opened, made or removed, and no TCP port reached.
    public static let landlock = Confinement(rawValue: 1)
    /// seccomp: no system call but for memory, time and what is open already.
    public static let seccomp = Confinement(rawValue: 2)

    /// What this kernel has; empty means that only the limits hold a parser back.
    public static var supported: Confinement { Confinement(rawValue: graft_sandbox_support()) }

    /// The version of Landlock's interface here; 0 where there is none.
    public static var landlockVersion: Int { max(0, Int(graft_sandbox_landlock_version())) }

    /// What a parser that these hold could still do and should not, or nil: seccomp alone holds it.
    public var weakness: String? {
        if contains(.seccomp) { return nil }
        return contains(.landlock)
            ? "Landlock alone holds it, without seccomp: it opens no file, and can reach the network "
                + "by other ways than TCP"
            : "neither Landlock nor seccomp holds it: only its memory and time are bounded"
    }

    private static let listener = Mutex<(@Sendable (Confinement) -> Void)?>(nil)

    /// Calls `body` when a stranger's file is first parsed by a process that is held by less than it
    /// should be, see ``weakness``; once, whatever comes after.
    public static func onFirstWeakness(_ body: @escaping @Sendable (Confinement) -> Void) {
        listener.withLock { $0 = body }
    }

    /// Tells of what holds a parser that has started.
    package static func note(_ held: Confinement) {
        guard held.weakness != nil else { return }
        let body = listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        body?(held)
    }

    /// Gives up everything but descriptors 0 to 2, memory of `bytes` and `seconds` of processor
    /// time; says what took hold. There is no way back.
    ///
    /// - Parameter threads: Whether threads of the process may still be started, as some decoders do.
    package static func enter(seconds: UInt64, bytes: UInt64, threads: Bool = false) -> Confinement
    {
        graft_sandbox_limit(seconds, bytes)
        graft_sandbox_close_from(3)
        return Confinement(rawValue: graft_sandbox_enter(threads ? 1 : 0))
    }
}
