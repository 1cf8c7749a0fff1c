// Files that are taken for weights and are none: what each is, by its content.

import GraftTensors

/// What stands where weights were expected.
public enum ForeignFile: Sendable, Equatable {
    /// Nothing at all.
    case empty
    /// Zeros, which a download that stopped leaves.
    case zeros
    /// Git LFS's placeholder of a file, with its digest and number of bytes.
    case lfsPointer(digest: String, byteCount: Int)
    /// git-annex's placeholder of a file.
    case annexPointer
    /// A page for browsers, with its title.
    case html(title: String?)
    /// XML: an error of an object store, or another program's description.
    case xml(root: String)
    /// What a server answered, in JSON, with its message.
    case serverError(message: String)
    /// JSON that names no weights.
    case json
    /// Text that begins so.
    case text(start: String)
    /// A compressed file, and the program that unpacks it.
    case compressed(format: String, program: String)
    /// An archive of files that are not one model.
    case archive(format: String, names: [String])
    /// A compiled program with its weights (`torch.jit.save`).
    case torchScript
    /// A compiled program (`.pt2`) without the graph that `torch.export.save` writes.
    case exportedProgram
    /// The tar archive of PyTorch 0.1.
    case torchTar
    /// A pickle that `torch.save` did not write, and the library whose objects it holds.
    case pickle(library: String?)
    /// A file of another program.
    case other(String)

    /// What the file is, after "is".
    var message: String {
        switch self {
        case .empty: "an empty file"
        case .zeros: "only zeros, as an interrupted download leaves"
        case .lfsPointer(let digest, let count):
            "a Git LFS pointer of \(count) bytes to sha256:\(digest), not the file itself"
        case .annexPointer: "a git-annex pointer, not the file itself"
        case .html(let title): "an HTML page" + (title.map { ": \"\($0)\"" } ?? "")
        case .xml(let root): "an XML document (`\(root)`)"
        case .serverError(let text): "an error message of a server: \"\(text)\""
        case .json: "JSON without a `weight_map`, not weights"
        case .text(let start): "a text file: \"\(start)\""
        case .compressed(let format, _): "a \(format) file"
        case .archive(let format, let names):
            "a \(format) archive"
                + (names.isEmpty
                    ? ""
                    : " of \(names.count) files: "
                        + names.prefix(5).joined(separator: ", ")
                        + (names.count > 5 ? ", …" : ""))
        case .torchScript: "a TorchScript archive, a compiled program and not a state dict"
        case .exportedProgram: "a .pt2 archive of a compiled program, without its graph"
        case .torchTar: "a tar archive of PyTorch 0.1.10 or older"
        case .pickle(let library):
            library.map { "a Python pickle of \($0) objects, which is code and not weights" }
                ?? "a Python pickle that `torch.save` did not write"
        case .other(let name): name
        }
    }

    /// What to do instead.
    var hint: String {
        switch self {
        case .empty, .zeros, .html, .xml, .serverError, .text:
            "fetch it again, from an address that gives the file itself"
        case .lfsPointer:
            "run `git lfs pull` in its repository, or fetch it with `graft fetch hf://ORG/NAME`"
        case .annexPointer: "run `git annex get` in its repository"
        case .json: "name the file of weights, or their index (`*.index.json`)"
        case .compressed(_, let program): "unpack it: `\(program) FILE`"
        case .archive(let format, _):
            "unpack it: `\(format == "zip" ? "unzip" : "tar xf") FILE`, and name the file of weights"
        case .torchScript:
            "save the weights alone: `torch.save(torch.jit.load(FILE).state_dict(), \"w.pth\")`, or "
                + "export the model to ONNX"
        case .exportedProgram:
            "save the program itself: `torch.export.save(torch.export.export(MODEL, (IMAGE,)), \"m.pt2\")`"
        case .torchTar: "write it again: `torch.save(torch.load(FILE), \"w.pth\")`"
        case .pickle(let library):
            library == "scikit-learn"
                ? "graft runs neural networks on images: `graft train --head logistic` trains a linear one"
                : "save the numbers with `torch.save`, `numpy.savez` or as safetensors"
        case .other: FormatError.known
        }
    }
}

extension ForeignFile {
    private static let zlib = ForeignFile.other(
        "a zlib stream, as `joblib.dump` compresses pickles")
    private static let signatures: [(bytes: [UInt8], at: Int, file: ForeignFile)] = [
        ([0x1F, 0x8B], 0, .compressed(format: "gzip", program: "gunzip")),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], 0, .compressed(format: "xz", program: "unxz")),
        ([0x28, 0xB5, 0x2F, 0xFD], 0, .compressed(format: "zstd", program: "unzstd")),
        (Array("BZh".utf8), 0, .compressed(format: "bzip2", program: "bunzip2")),
        ([0x04, 0x22, 0x4D, 0x18], 0, .compressed(format: "lz4", program: "unlz4")),
        (
            [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], 0,
            .compressed(format: "7z", program: "7z x")
        ),
        (Array("Rar!".utf8), 0, .compressed(format: "rar", program: "unrar x")),
        (Array("GGUF".utf8), 0, .other("a GGUF file (llama.cpp)")),
        (Array("ggml".utf8), 0, .other("a GGML file")),
        (Array("lmgg".utf8), 0, .other("a GGML file")),
        (Array("MATLAB 5.0 MAT".utf8), 0, .other("a MATLAB file")),
        ([0x78, 0x01], 0, zlib),
        ([0x78, 0x5E], 0, zlib),
        ([0x78, 0x9C], 0, zlib),
        ([0x78, 0xDA], 0, zlib),
        (Array("ET1".utf8), 4, .other("an ExecuTorch program")),
        (Array("ORTM".utf8), 4, .other("an ONNX Runtime (.ort) model")),
        (Array("%PDF".utf8), 0, .other("a PDF document")),
        ([0x89, 0x50, 0x4E, 0x47], 0, .other("a PNG image")),
        ([0xFF, 0xD8, 0xFF], 0, .other("a JPEG image")),
        (Array("Obj".utf8) + [1], 0, .other("an Avro file")),
        (Array("PAR1".utf8), 0, .other("a Parquet table")),
        (Array("SQLite format 3".utf8), 0, .other("an SQLite database")),
        ([0x7F, 0x45, 0x4C, 0x46], 0, .other("a program (ELF)")),
    ]

    /// What bytes are that no reader of weights knows; nil if that is not known either.
    static func identify(_ bytes: UnsafeRawBufferPointer, path: String) -> ForeignFile? {
        guard !bytes.isEmpty else { return .empty }
        for (signature, offset, file) in signatures
        where bytes.count >= offset + signature.count
            && bytes[offset..<(offset + signature.count)].elementsEqual(signature)
        {
            return file
        }
        if bytes.count >= 512, bytes[257..<262].elementsEqual("ustar".utf8) {
            let names = ((try? TarArchive.members(bytes, path)) ?? []).map(\.name)
            let parts = ["storages", "tensors", "pickle"]
            return Set(names).isSuperset(of: parts)
                ? .torchTar : .archive(format: "tar", names: names)
        }
        if bytes.count > 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
            return .pickle(library: library(inPickle: bytes))
        }
        if bytes.prefix(1 << 16).allSatisfy({ $0 == 0 }) { return .zeros }
        return identify(text: bytes)
    }

    /// The library whose classes a pickle names first; nil for one that is not known.
    private static func library(inPickle bytes: UnsafeRawBufferPointer) -> String? {
        let known = [
            ("sklearn.", "scikit-learn"), ("xgboost.", "XGBoost"), ("lightgbm.", "LightGBM"),
            ("catboost", "CatBoost"), ("fastai.", "fastai"), ("keras.", "Keras"),
            ("pandas.", "pandas"),
        ]
        let start = String(decoding: bytes.prefix(1 << 14), as: UTF8.self)
        return known.compactMap { name, library in
            start.firstRange(of: name).map { ($0.lowerBound, library) }
        }.min { $0.0 < $1.0 }?.1
    }

    /// What a zip archive is that is no format of weights.
    static func archive(_ names: some Collection<String>) -> ForeignFile {
        func holds(_ suffix: String) -> Bool {
            names.contains { $0 == suffix || $0.hasSuffix("/" + suffix) }
        }
        if holds("archive_format") || holds("models/model.json")
            || holds("serialized_exported_program.json")
        {
            return .exportedProgram
        }
        if holds("constants.pkl") || holds("bytecode.pkl")
            || names.contains(where: { $0.hasPrefix("code/") || $0.contains("/code/") })
        {
            return .torchScript
        }
        return .archive(format: "zip", names: names.filter { !$0.hasSuffix("/") })
    }

    private static func identify(text bytes: UnsafeRawBufferPointer) -> ForeignFile? {
        var start = Array(bytes.prefix(1 << 16))
        if start.starts(with: [0xEF, 0xBB, 0xBF]) { start.removeFirst(3) }
        // A character may be cut at the end.
        let isText = start.prefix(4096).allSatisfy { $0 >= 0x20 || (0x09...0x0D).contains($0) }
        let text = String(decoding: start, as: UTF8.self)
        guard isText, !text.prefix(1024).contains("\u{FFFD}") else { return nil }
        let trimmed = text.drop { $0.isWhitespace }
        if let pointer = pointer(text) { return pointer }
        if trimmed.hasPrefix("/annex/objects/") || trimmed.contains("/.git/annex/objects/") {
            return .annexPointer
        }
        if trimmed.hasPrefix("<") { return markup(trimmed) }
        if trimmed.hasPrefix("{") || trimmed.hasPrefix("[") { return json(bytes) }
        return .text(start: line(trimmed))
    }

    /// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    private static func pointer(_ text: String) -> ForeignFile? {
        guard
            text.hasPrefix("version https://git-lfs.github.com/spec/")
                || text.hasPrefix("version https://hawser.github.com/spec/")
        else { return nil }
        var fields: [Substring: Substring] = [:]
        for line in text.prefix(2048).split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        guard let digest = fields["oid"], digest.hasPrefix("sha256:"),
            let count = fields["size"].flatMap({ Int($0) }), count >= 0
        else { return nil }
        return .lfsPointer(digest: String(digest.dropFirst(7).prefix(64)), byteCount: count)
    }

    private static func markup(_ text: Substring) -> ForeignFile {
        let lower = text.prefix(4096).lowercased()
        if lower.contains("<!doctype html") || lower.contains("<html") || lower.contains("<head")
            || lower.contains("<body")
        {
            let tag = text.prefix(8192).firstMatch(of: /<[Tt][Ii][Tt][Ll][Ee][^>]*>([^<]*)</)
            let title = tag.map { line($0.output.1) } ?? ""
            return .html(title: title.isEmpty ? nil : title)
        }
        // The first element after the declaration and comments.
        var rest = text
        while rest.hasPrefix("<?") || rest.hasPrefix("<!") {
            guard let end = rest.firstIndex(of: ">") else { break }
            rest = rest[rest.index(after: end)...].drop { $0.isWhitespace }
        }
        let root = rest.dropFirst().prefix { $0.isLetter || $0.isNumber || "_-:.".contains($0) }
        guard root != "net" || !rest.prefix(200).contains("version=") else {
            return .other("an OpenVINO description, whose weights are in the .bin file beside it")
        }
        return .xml(root: String(root.prefix(80)))
    }

    /// The JSON of a server's error, or other JSON that names no weights.
    static func json(_ bytes: UnsafeRawBufferPointer) -> ForeignFile {
        guard bytes.count <= 1 << 22 else { return .json }
        let source = Source(path: "", format: "JSON")
        guard let value = try? JSONTree(strictly: bytes, in: source) else {
            return .text(start: line(String(decoding: bytes.prefix(400), as: UTF8.self)[...]))
        }
        if value["modelTopology"] != nil || value["weightsManifest"] != nil {
            return .other("a TensorFlow.js model")
        }
        for key in ["error", "message", "detail", "errors", "msg", "error_description"] {
            guard let found = value[key] else { continue }
            let text = found.string ?? found["message"]?.string
            if let text { return .serverError(message: line(text[...])) }
        }
        return .json
    }

    /// The first line of a text, of at most 80 characters.
    private static func line(_ text: Substring) -> String {
        let trimmed = text.drop { $0.isWhitespace }
        var line = trimmed.prefix { !$0.isNewline }
        while line.last?.isWhitespace == true { line.removeLast() }
        return line.count > 80 ? line.prefix(79) + "…" : String(line)
    }
}
