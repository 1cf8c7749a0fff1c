// Which HDF5 parses.

internal import CHDF5

/// The library of HDF5, as it names itself.
public enum FormatLibrary {
    /// `1.10.8`.
    public static var version: String {
        var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
        guard H5get_libversion(&major, &minor, &release) >= 0 else { return "unknown" }
        return "\(major).\(minor).\(release)"
    }
}
