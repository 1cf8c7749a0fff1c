// The rights that a process gives up for good before it parses a stranger's file.

internal import CSandbox

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

    /// Gives up everything but descriptors 0 to 2, memory of `bytes` and `seconds` of processor
    /// time; says what took hold. There is no way back.
    package static func enter(seconds: UInt64, bytes: UInt64) -> Confinement {
        graft_sandbox_limit(seconds, bytes)
        graft_sandbox_close_from(3)
        return Confinement(rawValue: graft_sandbox_enter())
    }
}
