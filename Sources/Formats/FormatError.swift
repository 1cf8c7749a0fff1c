// What can be wrong with a file of weights.

public import GraftTensors

/// A file that cannot be read or written in the format it claims to have.
public enum FormatError: Diagnostic, Equatable {
    /// The bytes contradict the format.
    case malformed(path: String, format: String, FormatFlaw)
    /// The bytes are well formed, and ask for something that graft does not do.
    case unsupported(path: String, UnsupportedContent)
    /// The first bytes are those of no format that graft reads.
    case unknownFormat(path: String)
    /// The file is something else than weights.
    case foreign(path: String, ForeignFile)
    /// A file has no state dict of this name, but names that begin so.
    case noStateDict(path: String, String, found: [String])
    /// A folder holds no weights that graft finds, or several.
    case folder(path: String, found: [String])
    /// What was to be written has no place in the format.
    case unwritable(path: String, UnwritableContent)

    /// What happened.
    public var message: String {
        switch self {
        case .malformed(let path, let format, let flaw):
            "`\(path)` is not a valid \(format) file: \(flaw.explanation)"
        case .unsupported(let path, let content): "cannot read `\(path)`: \(content.explanation)"
        case .unknownFormat(let path):
            "`\(path)`: unrecognised file format"
        case .foreign(let path, let file): "`\(path)` is \(file.message)"
        case .noStateDict(let path, let name, let found):
            "`\(path)` has no state dict `\(name)`"
                + (found.isEmpty
                    ? "" : "; found " + found.map { "`\($0)`" }.joined(separator: ", "))
        case .folder(let path, let found):
            found.isEmpty
                ? "the folder `\(path)` contains no weight file"
                : "the folder `\(path)` contains \(found.count) weight files: "
                    + found.prefix(5).joined(separator: ", ")
        case .unwritable(let path, let content): "cannot write `\(path)`: \(content.explanation)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .malformed: "the file may be incomplete or damaged: fetch it again"
        case .unsupported(_, let content): content.remedy
        case .unwritable(_, let content): content.remedy
        case .folder: "name the file"
        case .noStateDict: "name a key of the checkpoint, or what the names in it begin with"
        case .foreign(_, let file): file.hint
        case .unknownFormat: Self.known
        }
    }

    /// What can be read.
    static let known =
        "graft reads safetensors, HDF5 (.h5, .weights.h5, .keras), PyTorch, .npy, .npz, ONNX, TFLite "
        + "and TensorFlow files, and folders of them"
}

/// The file that a reader is in, for its errors.
struct Source: Sendable {
    let path: String
    let format: String

    func malformed(_ flaw: FormatFlaw) -> FormatError {
        .malformed(path: path, format: format, flaw)
    }
    func unsupported(_ content: UnsupportedContent) -> FormatError {
        .unsupported(path: path, content)
    }
}
