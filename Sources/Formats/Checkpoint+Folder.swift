// Which file of a folder holds its weights, and TensorFlow's way of naming a checkpoint by a prefix.

import GraftSystem
import GraftTensors

extension Checkpoint {
    /// Whether `path` is something that ``open(_:isolation:)`` looks for weights in.
    public static func exists(_ path: String) -> Bool {
        FileSystem.exists(path) || FileSystem.exists(path + ".index")
    }

    /// Whether there is a folder at `path`.
    public static func isFolder(_ path: String) -> Bool { FileSystem.isFolder(path) }

    /// The file to open for `path`: itself, the one in a folder, or the index of a checkpoint.
    ///
    /// - Throws: ``FormatError/folder(path:found:)`` if a folder holds none, or several.
    public static func file(at path: String) throws -> String {
        let status: FileStatus
        do {
            status = try FileSystem.status(of: path)
        } catch {
            let index = path + ".index"
            guard error.errno == .noSuchFile, FileSystem.exists(index) else {
                throw FileError(.open, at: path, error.errno)
            }
            return index
        }
        guard status.kind == .folder else {
            // The graph of a SavedModel: its weights lie beside it.
            guard path.split(separator: "/").last == "saved_model.pb" else { return path }
            let index = String(path.dropLast("saved_model.pb".count)) + "variables/variables.index"
            return FileSystem.exists(index) ? index : path
        }
        return try file(in: path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    /// What tools write, in the order in which readers look for it.
    private static let usual = [
        "variables/variables.index", "variables.index", "model.safetensors.index.json",
        "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin",
        "model.weights.json", "model.weights.h5",
    ]
    private static let suffixes = [
        ".index.json", ".weights.json", ".safetensors", ".keras", ".h5", ".hdf5", ".pth", ".pt",
        ".bin", ".npz", ".onnx", ".tflite", ".index",
    ]

    private static func file(in folder: String) throws -> String {
        for name in usual where FileSystem.exists("\(folder)/\(name)") {
            return "\(folder)/\(name)"
        }
        if let refusal = FileSystem.refusal(ofFolder: folder, writing: false) {
            throw FileError(.list, at: folder, refusal)
        }
        let names = FileSystem.names(in: folder)
        if let name = latest(folder) { return name }
        for suffix in suffixes {
            let found = names.filter { $0.hasSuffix(suffix) }
            if found.count == 1, let name = found.first { return "\(folder)/\(name)" }
            guard found.isEmpty else { throw FormatError.folder(path: folder, found: found) }
        }
        throw FormatError.folder(path: folder, found: [])
    }

    /// The checkpoint that TensorFlow's file `checkpoint` calls the latest.
    private static func latest(_ folder: String) -> String? {
        guard let storage = try? Storage(mapping: "\(folder)/checkpoint"),
            storage.byteCount <= 1 << 20
        else { return nil }
        let text = storage.withBytes { String(decoding: $0, as: UTF8.self) }
        guard let line = text.split(separator: "\n").first,
            line.hasPrefix("model_checkpoint_path: \""), line.hasSuffix("\"")
        else { return nil }
        let name = line.dropFirst("model_checkpoint_path: \"".count).dropLast()
        guard isPlain(String(name)) else { return nil }
        let index = "\(folder)/\(name).index"
        return FileSystem.exists(index) ? index : nil
    }

    /// Whether a name that a file gives is that of a file beside it, and leads nowhere else.
    static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
    }
}

extension Source {
    /// The path of a file beside this one.
    func sibling(_ name: String) -> String {
        path.lastIndex(of: "/").map { path[...$0] + name } ?? name
    }
}
