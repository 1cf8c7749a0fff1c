// Which HDF5 parses, and what the kernel offers to fence it in.

internal import CHDF5
internal import CSandbox

/// The library of HDF5, as it names itself.
public enum FormatLibrary {
    /// `1.10.8`.
    public static var version: String {
        var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
        guard H5get_libversion(&major, &minor, &release) >= 0 else { return "unknown" }
        return "\(major).\(minor).\(release)"
    }
}

/// The ways of the kernel to take rights from the process that parses strangers' files.
public struct SandboxFeatures: Sendable {
    /// The version of Landlock's interface; 0 where there is none.
    public let landlock: Int
    /// Whether system calls can be filtered.
    public let seccomp: Bool

    /// Those of this machine.
    public static var here: SandboxFeatures {
        SandboxFeatures(
            landlock: max(0, Int(graft_sandbox_landlock_version())),
            seccomp: graft_sandbox_has_seccomp() != 0)
    }
}
