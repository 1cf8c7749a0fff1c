// Where a C library may parse a stranger's file: in a process that has given up its rights, or here.

internal import Synchronization

/// Where libhdf5, libheif, libtiff and giflib may run. They are C and C++, and a damaged file can make
/// them read or write where they must not.
public enum Isolation: Sendable, Hashable {
    /// In a child process: `program` is run with the argument `HDF5Server.command` or
    /// `ImageServer.command`, and must call that server's `run(_:)`. The child has no network, opens
    /// no file, and is bounded in memory and time; of what it answers, every number is checked again.
    case process(program: String)
    /// In this process, and only to find tensors that lie dense in the file: libhdf5 reads the
    /// structure, and never decodes data. A file with chunked or compressed data opens; loading such
    /// a tensor is an explained error. What a library that embeds graft gets by default.
    case contiguousOnly
    /// In this process, decoding too: for files that you trust.
    case inProcess

    private static let shared = Mutex<Isolation>(.contiguousOnly)

    /// What `Checkpoint.open(_:isolation:)` does unless told. The `graft` program sets
    /// `.process`; `--no-sandbox` sets `.inProcess`.
    public static var current: Isolation {
        get { shared.withLock { $0 } }
        set { shared.withLock { $0 = newValue } }
    }
}
