// What an archive can hold that is refused, and what reading one can meet.

public import GraftTensors

/// An archive that cannot be read, or that holds what must not be unpacked.
public struct ArchiveError: Diagnostic, Equatable {
    /// What happened.
    public let message: String
    /// What to do about it.
    public let hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    /// A member that would be written elsewhere, or as something else than a file.
    static func refused(_ archive: String, _ member: String, _ reason: String) -> ArchiveError {
        ArchiveError(
            "`\(archive)` is refused: `\(shown(member))` \(reason)",
            hint: "nothing of it was kept; ask its publisher for an archive of plain files")
    }

    /// More than there is any reason to unpack.
    static func tooLarge(_ archive: String, _ what: String) -> ArchiveError {
        ArchiveError(
            "`\(archive)` is refused: it unpacks to more than \(what)",
            hint: "nothing of it was kept; an archive that grows so much is made to fill disks")
    }

    /// A name as errors show it: one line of printable characters.
    private static func shown(_ name: String) -> String {
        String(
            name.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) }
                .prefix(200))
    }
}
