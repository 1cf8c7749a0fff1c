// Which oneDNN computes.

import CDNNL

/// The library of the arithmetic, as it names itself.
public enum ExecutionLibrary {
    /// `2.6.3 (OpenMP)`.
    public static var version: String {
        guard let version = dnnl_version()?.pointee else { return "unknown" }
        let runtime =
            switch version.cpu_runtime {
            case 1: "one thread"
            case 2: "OpenMP"
            case 4: "TBB"
            case 8: "a thread pool"
            default: "unknown threads"
            }
        return "\(version.major).\(version.minor).\(version.patch) (\(runtime))"
    }
}
